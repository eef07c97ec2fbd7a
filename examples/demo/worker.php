<?php

declare(strict_types=1);

/*
 * The demo's worker in PHP. It stands on the small library of the tests, so that it runs without Composer; a worker of
 * yours uses the stock packages, see ../worker.php.
 */

require __DIR__ . '/../../test/php/Goridge.php';

ini_set('display_errors', 'stderr');

$worker = new Jobsd\Test\Worker();
$journal = fopen(getenv('JOBSD_DEMO_DIR') . '/done-' . getmypid() . '.log', 'a');

while (($task = $worker->wait()) !== null) {
    $headers = $task->context['headers'];
    $firstRun = !isset($headers['tries']) && !isset($headers['x-job-attempt']);
    if ($task->name() === 'demo.flaky' && $firstRun) {
        // What an application does when something is not there yet: again in a second, with a header of its own.
        $worker->answer(4, ['message' => 'not yet', 'delay_seconds' => 1, 'headers' => ['tries' => ['1']]]);
    } elseif ($task->name() === 'demo.broken' && !isset($headers['x-job-redriven'])) {
        // Given up and kept. When an operator retries it, its cause is gone.
        $worker->answer(3, ['message' => 'this can not be done', 'requeue' => false, 'delay_seconds' => 0]);
    } elseif ($task->name() === 'demo.crash' && $firstRun) {
        exit(1); // the worker dies with the job in its hands
    } else {
        fwrite($journal, $task->context['id'] . "\n");
        $worker->answer(2);
    }
}
