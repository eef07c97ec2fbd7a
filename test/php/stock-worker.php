<?php

declare(strict_types=1);

/**
 * The same jobs as in worker.php as far as the stock packages can do them, on `Spiral\RoadRunner\Jobs\Consumer`.
 * JOBSD_PHP_AUTOLOAD names the file that loads the packages (Composer's, or one that finds checkouts).
 */

use Spiral\RoadRunner\Jobs\Consumer;
use Spiral\RoadRunner\Jobs\Task\Factory\ReceivedTaskFactory;
use Spiral\RoadRunner\Jobs\Task\KafkaReceivedTask;
use Spiral\RoadRunner\Jobs\Task\ReceivedTaskInterface;
use Spiral\RoadRunner\Worker;

ini_set('display_errors', 'stderr');

require getenv('JOBSD_PHP_AUTOLOAD') ?: throw new RuntimeException('JOBSD_PHP_AUTOLOAD is not set');

$worker = Worker::create();
$consumer = new Consumer($worker, new ReceivedTaskFactory($worker));

while (($task = $consumer->waitTask()) !== null) {
    run($worker, $task);
}
fwrite(STDERR, "loop has ended\n");

function run(Worker $worker, ReceivedTaskInterface $task): void
{
    switch ($task->getName()) {
        case 'fail': $task->fail('broken'); break;
        case 'fail-requeue': $task->withHeader('attempts', '2')->withDelay(3)->fail('broken', true); break;
        case 'throw': throw new RuntimeException('job broke the worker');
        case 'clone-double': $task->withDelay(5)->fail('x', true); $task->complete(); break;
        case 'error': $worker->error('worker level error'); break;
        case 'stop': $worker->stop(); break;
        case 'echo': echo 'text of the job'; var_dump(['some' => 'value']); $task->complete(); break;
        case 'sleep': sleep(1); $task->complete(); break;
        case 'describe':
            // What the task object shows, as a failure text, so that a test can read it.
            $kafka = $task instanceof KafkaReceivedTask
                ? ['partition' => $task->getPartition(), 'offset' => $task->getOffset()]
                : [];
            $task->fail((string) json_encode([
                'id' => $task->getId(),
                'name' => $task->getName(),
                'pipeline' => $task->getPipeline(),
                'queue' => $task->getQueue(),
                'driver' => $task->getDriver()->value,
                'headers' => (object) $task->getHeaders(),
                'payload' => $task->getPayload(),
            ] + $kafka));
            break;
        default: $task->complete();
    }
}
