<?php

declare(strict_types=1);

/**
 * Producer on the stock packages: `php stock-client.php <address> <command> [argument…]`.
 *
 *   push <pipeline> <name> <payload> [<headers as JSON>] [<delay>]   prints the job's id
 *   batch <pipeline> <name> <count>                                  prints the number of jobs
 *   list | pause <pipeline> | resume <pipeline> | paused <pipeline>
 *
 * JOBSD_PHP_AUTOLOAD names the file that loads the packages.
 */

use Spiral\Goridge\RPC\RPC;
use Spiral\RoadRunner\Jobs\Jobs;
use Spiral\RoadRunner\Jobs\Options;

ini_set('display_errors', 'stderr');

require getenv('JOBSD_PHP_AUTOLOAD') ?: throw new RuntimeException('JOBSD_PHP_AUTOLOAD is not set');

[, $address, $command] = $argv + [null, '', ''];
$arguments = array_slice($argv, 3);
$jobs = new Jobs(RPC::create($address));

switch ($command) {
    case 'push':
        [$pipeline, $name, $payload] = $arguments;
        $task = $jobs->connect($pipeline)->create($name, $payload, new Options((int) ($arguments[4] ?? 0)));
        foreach (json_decode($arguments[3] ?? '{}', true, 512, JSON_THROW_ON_ERROR) as $header => $values) {
            $task = $task->withHeader((string) $header, $values);
        }
        echo $jobs->connect($pipeline)->dispatch($task)->getId(), "\n";
        break;
    case 'batch':
        [$pipeline, $name, $count] = $arguments;
        $queue = $jobs->connect($pipeline);
        $tasks = array_map(static fn(int $index) => $queue->create($name, "payload $index"), range(1, (int) $count));
        echo iterator_count((static fn() => yield from $queue->dispatchMany(...$tasks))()), "\n";
        break;
    case 'list':
        foreach ($jobs as $name => $queue) {
            echo $name, "\n";
        }
        break;
    case 'pause': $jobs->pause($arguments[0]); break;
    case 'resume': $jobs->resume($arguments[0]); break;
    case 'paused': echo $jobs->connect($arguments[0])->isPaused() ? "yes\n" : "no\n"; break;
    default:
        fwrite(STDERR, "unknown command '$command': see the head of stock-client.php\n");
        exit(2);
}
