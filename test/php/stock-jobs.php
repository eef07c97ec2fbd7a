<?php

declare(strict_types=1);

/**
 * What an application does with the stock packages, on a fresh daemon: `php stock-jobs.php <address> <scenario>`.
 * Prints the results as one JSON object.
 */

use Spiral\Goridge\RPC\Codec\ProtobufCodec;
use Spiral\Goridge\RPC\MultiRPC;
use Spiral\Goridge\RPC\RPC;
use Spiral\RoadRunner\Jobs\Jobs;
use Spiral\RoadRunner\Jobs\Options;
use Spiral\RoadRunner\Jobs\Queue\MemoryCreateInfo;

ini_set('display_errors', 'stderr');

require getenv('JOBSD_PHP_AUTOLOAD') ?: throw new RuntimeException('JOBSD_PHP_AUTOLOAD is not set');

[, $address, $scenario] = $argv;
$jobs = new Jobs(RPC::create($address));
$text = static function (callable $call): string {
    try {
        $call();
    } catch (Throwable $error) {
        // The packages wrap what the server said.
        return ($error->getPrevious() ?? $error)->getMessage();
    }

    return '';
};

$results = match ($scenario) {
    'jobs' => (static function () use ($jobs): array {
        $queue = $jobs->create(new MemoryCreateInfo('made by php', 7));
        $created = ['paused' => $queue->isPaused(), 'name' => $queue->getName()];
        $pushed = $queue->push('ok', 'payload')->getId();
        $dispatched = $queue->dispatch($queue->create('ok', 'другой', new Options(0, 3))->withHeader('x-a', ['1', 'ü']));
        $many = iterator_to_array((static fn() => yield from $queue->dispatchMany(
            ...array_map(static fn(int $index) => $queue->create('ok', "payload $index"), range(1, 5)),
        ))(), false);
        $stat = $queue->getPipelineStat();
        $jobs->resume($queue);
        $resumed = $queue->isPaused();
        $queue->pause();
        $paused = $queue->isPaused();
        $queue->resume();

        return [
            'created' => $created,
            'ids' => [$pushed, $dispatched->getId(), ...array_map(static fn($task) => $task->getId(), $many)],
            'stat' => json_decode($stat->serializeToJsonString(), true),
            'resumed' => $resumed,
            'paused' => $paused,
            'count' => count($jobs),
            'names' => array_keys(iterator_to_array($jobs)),
            'connected' => $jobs->connect('p')->getName(),
        ];
    })(),
    'errors' => [
        'push' => $text(static fn() => $jobs->connect('nope')->push('ok', '')),
        'pause' => $text(static fn() => $jobs->pause('nope')),
        'create' => $text(static fn() => $jobs->create(new MemoryCreateInfo('p'))),
    ],
    'answers' => (static function () use ($jobs): array {
        $queue = $jobs->connect('p');
        $names = ['ok', 'fail', 'fail-exception', 'fail-requeue', 'ack', 'nack', 'nack-requeue', 'requeue', 'echo', 'error'];

        return array_combine($names, array_map(static fn(string $name) => $queue->push($name, $name)->getId(), $names));
    })(),
    'multi' => (static function () use ($address): array {
        $rpc = MultiRPC::create($address, 50)->withServicePrefix('rpc');
        $calls = [];
        for ($index = 0; $index < 1000; $index++) {
            $calls[] = $rpc->callAsync('Version', true);
        }
        $answers = [];
        foreach ($calls as $call) {
            $answers[] = $rpc->getResponse($call);
        }

        return ['answers' => count($answers), 'distinct' => array_values(array_unique($answers))];
    })(),
    'ignore' => (static function () use ($address): array {
        $request = new \RoadRunner\Jobs\DTO\V1\PushRequest([
            'job' => new \RoadRunner\Jobs\DTO\V1\Job([
                'job' => 'ok',
                'id' => 'ignored',
                'payload' => 'x',
                'options' => new \RoadRunner\Jobs\DTO\V1\Options(['pipeline' => 'p']),
            ]),
        ]);
        MultiRPC::create($address, 1)->withCodec(new ProtobufCodec())->callIgnoreResponse('jobs.Push', $request);

        return [];
    })(),
};
echo json_encode($results, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
