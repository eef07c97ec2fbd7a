<?php

declare(strict_types=1);

/**
 * A worker that tells on stderr what it was started with, in one JSON line, and then the pool and the id of each job.
 */

use Jobsd\Test\Worker;

require __DIR__ . '/Goridge.php';

$flags = JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR;
fwrite(STDERR, json_encode(['argv' => array_slice($argv, 1), 'cwd' => getcwd(), 'env' => getenv()], $flags) . "\n");

$worker = new Worker();
while (($task = $worker->wait()) !== null) {
    fwrite(STDERR, sprintf("%s ran %s\n", getenv('RR_POOL') ?: '-', $task->context['id']));
    $worker->answer(2);
}
