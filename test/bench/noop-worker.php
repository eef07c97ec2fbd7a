<?php

declare(strict_types=1);

/*
 * Acknowledges every job and does nothing else: with the stock packages if JOBSD_PHP_AUTOLOAD names a file that loads
 * them, else with the small library of the tests.
 */

ini_set('display_errors', 'stderr');

$autoload = getenv('JOBSD_PHP_AUTOLOAD');
if ($autoload !== false && $autoload !== '') {
    require $autoload;
    $consumer = new Spiral\RoadRunner\Jobs\Consumer();
    while (($task = $consumer->waitTask()) !== null) {
        $task->complete();
    }
} else {
    require __DIR__ . '/../php/Goridge.php';
    $worker = new Jobsd\Test\Worker();
    while ($worker->wait() !== null) {
        $worker->answer(0);
    }
}
