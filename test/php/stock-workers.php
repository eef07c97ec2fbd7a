<?php

declare(strict_types=1);

/**
 * What an application does with the workers of its daemon, on the stock packages: `php stock-workers.php <address>`.
 * Prints how many there are at each step as one JSON object.
 */

use Spiral\Goridge\RPC\RPC;
use Spiral\RoadRunner\WorkerPool;

ini_set('display_errors', 'stderr');

require getenv('JOBSD_PHP_AUTOLOAD') ?: throw new RuntimeException('JOBSD_PHP_AUTOLOAD is not set');

$pool = new WorkerPool(RPC::create($argv[1]));
$counts = ['unknown' => $pool->countWorkers('http'), 'start' => $pool->countWorkers('jobs')];
$pool->addWorker('jobs');
$counts['added'] = $pool->countWorkers('jobs');
for ($times = 0; $times < 5; $times++) {
    $pool->removeWorker('jobs');
}
$counts['removed'] = $pool->countWorkers('jobs');
$workers = $pool->getWorkers('jobs')->getWorkers();
$counts['pid'] = $workers[0]->pid;
$counts['status'] = $workers[0]->status;
echo json_encode($counts, JSON_THROW_ON_ERROR);
