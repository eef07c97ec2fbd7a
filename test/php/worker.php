<?php

declare(strict_types=1);

/**
 * A worker whose behaviour the test chooses: by JOBSD_TEST_BOOT what it does when it starts, by a job's name what it
 * does with that job. Header `arg` of the job is the behaviour's argument. With JOBSD_TEST_LOG it appends what happened
 * to that file, one JSON line per event.
 */

use Jobsd\Test\Frame;
use Jobsd\Test\Task;
use Jobsd\Test\Worker;

require __DIR__ . '/Goridge.php';

ini_set('display_errors', 'stderr');

/** @param array<string, mixed> $event */
function note(array $event): void
{
    $file = getenv('JOBSD_TEST_LOG');
    if ($file !== false && $file !== '') {
        file_put_contents($file, json_encode($event + ['pid' => getmypid()]) . "\n", FILE_APPEND | LOCK_EX);
    }
}

[$boot, $bootArgument] = explode(':', (getenv('JOBSD_TEST_BOOT') ?: 'none') . ':', 3);
match ($boot) {
    'garbage' => fwrite(STDOUT, "hello before the handshake\n"),
    'throw' => throw new RuntimeException('no database'),
    'exit' => exit((int) $bootArgument),
    'sleep' => sleep((int) $bootArgument),
    'no-answer' => stream_get_contents(STDIN),
    'no-control' => fwrite(STDOUT, (new Frame(0, [0], '{}'))->pack()),
    'control' => fwrite(STDOUT, (new Frame(Frame::CONTROL, [], $bootArgument))->pack()),
    'behind' => fwrite(STDOUT, (new Frame(Frame::CONTROL, [], '{"pid":1}'))->pack() . 'and more'),
    'environment' => note(['environment' => getenv()]),
    'ignore-term' => [pcntl_signal(SIGTERM, SIG_IGN), note(['ignoring' => true]), sleep(600)],
    default => null,
};

$worker = new Worker();

if ($boot === 'exit-after-handshake') {
    // Answers the pid request and ends.
    $worker->stream->read();
    $worker->stream->write(new Frame(Frame::CONTROL, [], (string) json_encode(['pid' => getmypid()])));
    exit(3);
}

/** Runs one job. */
function run(Worker $worker, Task $task): void
{
    $argument = $task->header('arg');
    switch ($task->name()) {
        case 'complete': $worker->answer(0); break;
        case 'nack': $worker->answer(3, ['message' => 'no good', 'requeue' => false, 'delay_seconds' => 0]); break;
        case 'nack-redeliver': $worker->answer(3, ['message' => 'busy', 'requeue' => true, 'delay_seconds' => 5]); break;
        case 'nack-msg': $worker->answer(3, ['message' => 'ещё раз "€"', 'requeue' => true, 'delay_seconds' => 0]); break;
        case 'requeue':
            $headers = $task->context['headers'];
            $worker->answer(4, ['message' => 'later', 'delay_seconds' => 0] + ($headers ? ['headers' => $headers] : []));
            break;
        case 'requeue-h':
            $worker->answer(4, ['message' => 'later', 'delay_seconds' => 10, 'headers' => ['attempts' => ['2']]]);
            break;
        case 'fail': $worker->answer(1, ['message' => 'broken', 'requeue' => false, 'delay_seconds' => 0]); break;
        case 'fail-requeue':
            $data = ['message' => 'broken', 'requeue' => true, 'delay_seconds' => 3, 'headers' => ['attempts' => ['2']]];
            $worker->answer(1, $data);
            break;
        case 'error': $worker->stream->write(new Frame(Frame::ERROR, [], $argument ?: 'worker level error')); break;
        case 'stop': $worker->respond('', '{"stop":true}'); exit(0);
        case 'stop-second':
            // Asks to be replaced with every second job it gets.
            static $seen = 0;
            ++$seen % 2 === 0 ? $worker->respond('', '{"stop":true}') : $worker->answer(2);
            break;
        case 'empty': $worker->respond(''); break;
        case 'header-only': $worker->respond('', '{"some":"header"}'); break;
        case 'header-and-body': $worker->respond('{"type":2,"data":[]}', '{"some":"header"}'); break;
        case 'raw': $worker->respond($task->payload); break;
        case 'rawbody': $worker->respond('not json', 'ctx'); break;
        case 'double': $worker->answer(2); $worker->answer(0); break;
        case 'clone-double': $worker->answer(4, ['message' => 'x', 'delay_seconds' => 5]); $worker->answer(2); break;
        case 'late-double':
            // The second answer when the daemon has long taken the worker for idle.
            $worker->answer(2);
            usleep(50_000);
            $worker->answer(0);
            break;
        case 'garbage': fwrite(STDOUT, "garbage on stdout!\n"); $worker->answer(2); break;
        case 'frame': $worker->stream->writeBytes((string) hex2bin($argument)); sleep(600); break;
        case 'frames':
            for ($part = (int) $argument; $part > 0; $part--) {
                $worker->stream->write(new Frame(0, [0], 'part', $part > 1 ? Frame::STREAM : 0));
            }
            break;
        case 'endless-stream': $worker->stream->write(new Frame(0, [0], 'part', Frame::STREAM)); sleep(600); break;
        case 'torn': $worker->stream->writeBytes(substr((new Frame(0, [0], str_repeat('x', 100)))->pack(), 0, 40)); exit(1);
        case 'exit-after-answer': $worker->answer(2); exit(0);
        case 'exit': exit((int) $argument);
        case 'throw': throw new RuntimeException($argument ?: 'job broke the worker');
        case 'sleep': usleep((int) ((float) $argument * 1_000_000)); $worker->answer(2); break;
        case 'stderr': fwrite(STDERR, $task->payload); $worker->answer(2); break;
        case 'stderr-exit': fwrite(STDERR, $task->payload); exit(1);
        case 'hash': note(['hash' => hash('sha256', $task->payload), 'bytes' => strlen($task->payload)]); $worker->answer(2); break;
        case 'child':
            // A child that keeps our stdout open and outlives us.
            $child = proc_open(['sleep', '600'], [1 => STDOUT, 2 => STDERR], $pipes);
            note(['child' => proc_get_status($child)['pid']]);
            sleep(600);
            break;
        case 'close-stdout': fclose(STDOUT); sleep(600); break;
        case 'ignore-term': pcntl_signal(SIGTERM, SIG_IGN); sleep(600); break;
        case 'fork':
            // Two processes that answer the same job.
            pcntl_fork();
            $worker->answer(2);
            sleep(600);
            break;
        case 'exit-later':
            // Ends between two jobs.
            $worker->answer(2);
            usleep(100_000);
            exit(0);
        case 'close-stdin': fclose(STDIN); $worker->answer(2); sleep(600); break;
        default: $worker->answer(2);
    }
}

while (($task = $worker->wait()) !== null) {
    note(['job' => $task->context]);
    run($worker, $task);
}
note(['end' => true]);
if ($boot === 'slow-end') {
    sleep((int) $bootArgument);
}
