<?php

declare(strict_types=1);

/**
 * A worker on the stock packages that gives every answer of the protocol once, by the job's name; a job that comes
 * again (header `attempts`) is completed. What the task objects show goes to the file JOBSD_TEST_LOG, one JSON line a job.
 */

use Spiral\RoadRunner\Jobs\Consumer;
use Spiral\RoadRunner\Jobs\Task\Factory\ReceivedTaskFactory;
use Spiral\RoadRunner\Payload;
use Spiral\RoadRunner\Worker;

ini_set('display_errors', 'stderr');

require getenv('JOBSD_PHP_AUTOLOAD') ?: throw new RuntimeException('JOBSD_PHP_AUTOLOAD is not set');

$worker = Worker::create();
$consumer = new Consumer($worker, new ReceivedTaskFactory($worker));
$seen = [];

while (($task = $consumer->waitTask()) !== null) {
    $line = [
        'event' => 'run',
        'atMs' => microtime(true) * 1000,
        'pid' => getmypid(),
        'id' => $task->getId(),
        'job' => $task->getName(),
        'pipeline' => $task->getPipeline(),
        'driver' => $task->getDriver()->value,
        'headers' => (object) $task->getHeaders(),
        'bytes' => strlen($task->getPayload()),
        'sha256' => hash('sha256', $task->getPayload()),
    ];
    file_put_contents((string) getenv('JOBSD_TEST_LOG'), json_encode($line, JSON_THROW_ON_ERROR) . "\n", FILE_APPEND | LOCK_EX);
    $again = isset($seen[$task->getId()]);
    $seen[$task->getId()] = true;
    $answer = static fn(int $type, array $data) => $worker->respond(
        new Payload(json_encode(['type' => $type, 'data' => $data], JSON_THROW_ON_ERROR)),
    );
    if ($again) {
        $task->complete();
        continue;
    }
    switch ($task->getName()) {
        case 'fail': $task->fail('broken'); break;
        case 'fail-exception': $task->fail(new RuntimeException('broken by an exception')); break;
        case 'fail-requeue': $task->withHeader('attempts', '1')->withDelay(1)->fail('broken', true); break;
        // The checked-out version may lack the methods for these.
        case 'ack': $answer(2, []); break;
        case 'nack': $answer(3, ['message' => 'no good', 'requeue' => false, 'delay_seconds' => 0]); break;
        case 'nack-requeue': $answer(3, ['message' => 'busy', 'requeue' => true, 'delay_seconds' => 1]); break;
        case 'requeue': $answer(4, ['message' => 'later', 'delay_seconds' => 1, 'headers' => ['attempts' => ['1']]]); break;
        case 'echo': echo 'text of the job'; var_dump(['some' => 'value']); $task->complete(); break;
        case 'error': $worker->error('worker level error'); break;
        default: $task->complete();
    }
}
