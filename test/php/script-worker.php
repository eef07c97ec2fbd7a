<?php

declare(strict_types=1);

/**
 * A worker that does with a job what the job itself says: header `script` holds one step for each of its executions,
 * the last one for all further ones; without it every job is acknowledged. Each execution is written to the file
 * JOBSD_TEST_LOG as one JSON line, with what the job looked like.
 *
 * Steps: `ack` · `answer <JSON>` (that body, as it is) · `error <text>` (error frame) · `exit <code>` · `kill` (SIGKILL) ·
 * `sleep <seconds>` (then ack) · `retry <times>` (counts header `attempts` up and fails with requeue, as Spiral does) ·
 * `answer-twice` (the second one 50 ms later) · `payload` (answers with the job's own payload) · `stderr` (writes the payload to stderr) · `throw`.
 */

use Jobsd\Test\Frame;
use Jobsd\Test\Worker;

require __DIR__ . '/Goridge.php';

ini_set('display_errors', 'stderr');

$log = (string) getenv('JOBSD_TEST_LOG');
$note = static function (array $event) use ($log): void {
    $flags = JSON_INVALID_UTF8_SUBSTITUTE | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR;
    file_put_contents($log, json_encode($event + ['pid' => getmypid()], $flags) . "\n", FILE_APPEND | LOCK_EX);
};

/** Executions of this job so far, this one included; other workers' are counted, too. */
$count = static function (string $id) use ($log): int {
    $file = fopen($log . '.' . sha1($id), 'c+');
    flock($file, LOCK_EX);
    fseek($file, 0, SEEK_END);
    fwrite($file, '.');
    $runs = ftell($file);
    fclose($file);

    return $runs;
};

$worker = new Worker();
while (($task = $worker->wait()) !== null) {
    $context = $task->context;
    $headers = (array) ($context['headers'] ?? []);
    $script = $headers['script'] ?? [];
    $run = $script === [] ? 1 : $count($context['id']);
    $note([
        'event' => 'run',
        'atMs' => microtime(true) * 1000,
        'run' => $run,
        'keys' => array_keys($context),
        'headers' => (object) $headers,
        'bytes' => strlen($task->payload),
        'sha256' => hash('sha256', $task->payload),
    ] + $context);
    [$step, $argument] = explode(' ', ($script[min($run, count($script)) - 1] ?? 'ack') . ' ', 2);
    $argument = rtrim($argument);
    switch ($step) {
        case 'answer': $worker->respond($argument); break;
        case 'answer-twice':
            $worker->answer(2);
            usleep(50_000);
            $worker->answer(0);
            break;
        case 'payload': $worker->respond($task->payload); break;
        case 'error': $worker->stream->write(new Frame(Frame::ERROR, [], $argument)); break;
        case 'exit': exit((int) $argument);
        case 'kill': posix_kill((int) getmypid(), SIGKILL); sleep(60); break;
        case 'throw': throw new RuntimeException($argument);
        case 'sleep':
            usleep((int) ((float) $argument * 1_000_000));
            $note(['event' => 'slept', 'atMs' => microtime(true) * 1000, 'id' => $context['id']]);
            $worker->answer(2);
            break;
        case 'stderr': fwrite(STDERR, $task->payload . "\n"); $worker->answer(2); break;
        case 'retry':
            $attempts = (int) ($headers['attempts'][0] ?? 0);
            if ($attempts >= (int) $argument) {
                $worker->answer(2);
                break;
            }
            $data = ['headers' => ['attempts' => [(string) ($attempts + 1)]] + $headers];
            $worker->answer(1, ['message' => 'again', 'requeue' => true, 'delay_seconds' => 1] + $data);
            break;
        default: $worker->answer(2);
    }
}
$note(['event' => 'end']);
