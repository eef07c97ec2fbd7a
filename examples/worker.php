<?php

declare(strict_types=1);

/*
 * A worker in PHP. Install the packages first:  composer require spiral/roadrunner-jobs
 * Configuration:                                server: { command: "php worker.php" }
 */

use Spiral\RoadRunner\Jobs\Consumer;
use Spiral\RoadRunner\Jobs\Task\ReceivedTaskInterface;

ini_set('display_errors', 'stderr'); // stdout belongs to the protocol

require getenv('JOBSD_PHP_AUTOLOAD') ?: __DIR__ . '/vendor/autoload.php';

$consumer = new Consumer();

while (($task = $consumer->waitTask()) !== null) {
    try {
        handle($task);
        $task->complete();
    } catch (Throwable $error) {
        // Run it again in 10 seconds.
        $task->withDelay(10)->fail($error, requeue: true);
    }
}

function handle(ReceivedTaskInterface $task): void
{
    match ($task->getName()) {
        'mail.send' => fwrite(STDERR, sprintf("mail to %s\n", json_decode($task->getPayload(), true)['to'])),
        default => throw new RuntimeException("nobody handles {$task->getName()}"),
    };
}
