<?php

declare(strict_types=1);

/**
 * Looks at the workers of a daemon, adds one, takes one away, and looks again, with the stock package:
 * `php stock-informer.php <address>`. Prints what it saw as JSON. JOBSD_PHP_AUTOLOAD names the file that loads the packages.
 */

use Spiral\Goridge\RPC\RPC;
use Spiral\RoadRunner\WorkerPool;

ini_set('display_errors', 'stderr');

require getenv('JOBSD_PHP_AUTOLOAD') ?: throw new RuntimeException('JOBSD_PHP_AUTOLOAD is not set');

$pool = new WorkerPool(RPC::create($argv[1]));
$counts = [$pool->countWorkers('jobs')];
$pool->addWorker('jobs');
$counts[] = $pool->countWorkers('jobs');
$pool->removeWorker('jobs');
$counts[] = $pool->countWorkers('jobs');
$unknown = $pool->countWorkers('http');
foreach ($pool->getWorkers('jobs')->getWorkers() as $worker) {
    $workers[] = [
        'pid' => $worker->pid,
        'status' => $worker->status,
        'code' => $worker->statusCode,
        'executions' => $worker->executions,
        'created' => (string) $worker->createdAt,
        'memory' => $worker->memoryUsage,
        'command' => $worker->command,
    ];
}
echo json_encode(['counts' => $counts, 'unknown' => $unknown, 'workers' => $workers ?? []], JSON_THROW_ON_ERROR), "\n";
