<?php

declare(strict_types=1);

/**
 * Producer for tests, on our own client: `php client.php <address> <command> [argument…]`.
 *
 *   push <pipeline> <name> <id> <payload> [<headers as JSON>] [<delay>]   one jobs.Push (protobuf)
 *   batch <pipeline> <name> <count> [<payload bytes>]                     one jobs.PushBatch (protobuf), ids batch-0 …
 *   large <pipeline> <name> <id> <bytes>                                  one jobs.Push with random bytes, prints their SHA-256
 *   json <method> [<argument as JSON>]                                    any method over the JSON codec, prints the reply
 */

use Jobsd\Test\Proto;
use Jobsd\Test\RpcClient;

require __DIR__ . '/Goridge.php';

ini_set('display_errors', 'stderr');

[, $address, $command] = $argv + [null, '', ''];
$arguments = array_slice($argv, 3);
$client = new RpcClient($address);

switch ($command) {
    case 'push':
        [$pipeline, $name, $id, $payload] = $arguments;
        $headers = json_decode($arguments[4] ?? '{}', true, 512, JSON_THROW_ON_ERROR);
        $job = compact('pipeline', 'name', 'id', 'payload', 'headers') + ['delay' => (int) ($arguments[5] ?? 0)];
        $client->call('jobs.Push', Proto::jobs([$job]));
        break;
    case 'batch':
        [$pipeline, $name, $count] = $arguments;
        $payload = str_repeat('x', (int) ($arguments[3] ?? 0));
        $jobs = [];
        for ($index = 0; $index < (int) $count; $index++) {
            $jobs[] = compact('pipeline', 'name', 'payload') + ['id' => "batch-$index"];
        }
        $client->call('jobs.PushBatch', Proto::jobs($jobs));
        break;
    case 'large':
        [$pipeline, $name, $id, $bytes] = $arguments;
        $payload = random_bytes((int) $bytes);
        $client->call('jobs.Push', Proto::jobs([compact('pipeline', 'name', 'id', 'payload')]));
        echo hash('sha256', $payload), "\n";
        break;
    case 'json':
        $argument = json_decode($arguments[1] ?? '{}', true, 512, JSON_THROW_ON_ERROR);
        echo json_encode($client->json($arguments[0], $argument)), "\n";
        break;
    default:
        fwrite(STDERR, "unknown command '$command': see the head of client.php\n");
        exit(2);
}
