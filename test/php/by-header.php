<?php

declare(strict_types=1);

/**
 * Acknowledges jobs, whatever their name, and does what header `do` says with the ones that have it: `double` answers
 * twice, `exit` ends the process. With JOBSD_TEST_LOG it appends the id of each job it begins with, and its own, to that file.
 */

use Jobsd\Test\Worker;

require __DIR__ . '/Goridge.php';

ini_set('display_errors', 'stderr');

$worker = new Worker();
$log = getenv('JOBSD_TEST_LOG');

while (($task = $worker->wait()) !== null) {
    $event = ['begun' => $task->context['id'], 'pid' => getmypid()];
    file_put_contents((string) $log, json_encode($event) . "\n", FILE_APPEND | LOCK_EX);
    $what = $task->header('do');
    if ($what === 'exit') {
        exit(3);
    }
    $worker->answer(2);
    if ($what === 'double') {
        $worker->answer(0);
    }
}
