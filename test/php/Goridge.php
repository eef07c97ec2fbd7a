<?php

declare(strict_types=1);

/**
 * Goridge frames, a worker and an RPC client, written from the protocol's specification without any package, so that
 * tests do not prove our daemon against itself or against one library only.
 *
 * byte 0 version|header words · 1 flags · 2-5 payload length · 6-9 CRC-32 of bytes 0-5 · 10 stream bits · 11 zero ·
 * then options (uint32 each), then the payload. All numbers are little-endian.
 */

namespace Jobsd\Test;

final class Frame
{
    public const CONTROL = 0x01;
    public const RAW = 0x04;
    public const JSON = 0x08;
    public const ERROR = 0x40;
    public const PROTO = 0x80;
    public const STREAM = 0x01;
    public const STOP = 0x02;
    public const PONG = 0x08;

    /** @param list<int> $options */
    public function __construct(
        public readonly int $flags,
        public readonly array $options,
        public readonly string $payload,
        public readonly int $stream = 0,
    ) {}

    public function pack(): string
    {
        $start = chr(0x10 | (3 + count($this->options))) . chr($this->flags) . pack('V', strlen($this->payload));
        $options = $this->options === [] ? '' : pack('V*', ...$this->options);

        return $start . pack('V', crc32($start)) . chr($this->stream) . "\0" . $options . $this->payload;
    }
}

/** Both ends of a channel of frames. */
final class Stream
{
    /**
     * @param resource $input
     * @param resource $output
     */
    public function __construct(private $input, private $output) {}

    /** The next frame, null at the end of the stream. */
    public function read(): ?Frame
    {
        $header = $this->bytes(12);
        if ($header === '') {
            return null;
        }
        if (strlen($header) < 12) {
            throw new \RuntimeException('stream ended inside a header');
        }
        $words = ord($header[0]) & 0x0f;
        /** @var array{length: int, crc: int} $fields */
        $fields = unpack('Vlength/Vcrc', substr($header, 2, 8));
        if (crc32(substr($header, 0, 6)) !== $fields['crc']) {
            throw new \RuntimeException('checksum of a frame is wrong: ' . bin2hex($header));
        }
        $options = $words > 3 ? array_values((array) unpack('V*', $this->bytes(($words - 3) * 4))) : [];
        $payload = $this->bytes($fields['length']);
        if (strlen($payload) < $fields['length']) {
            throw new \RuntimeException('stream ended inside a payload');
        }

        return new Frame(ord($header[1]), $options, $payload, ord($header[10]));
    }

    public function write(Frame $frame): void
    {
        $this->writeBytes($frame->pack());
    }

    public function writeBytes(string $bytes): void
    {
        for ($sent = 0; $sent < strlen($bytes); $sent += $count) {
            $count = fwrite($this->output, substr($bytes, $sent));
            if ($count === false || $count === 0) {
                throw new \RuntimeException('nobody reads at the other end');
            }
        }
        fflush($this->output);
    }

    private function bytes(int $count): string
    {
        $bytes = '';
        while (strlen($bytes) < $count) {
            $chunk = fread($this->input, $count - strlen($bytes));
            if ($chunk === false || $chunk === '') {
                break;
            }
            $bytes .= $chunk;
        }

        return $bytes;
    }
}

/** A job as a worker gets it. */
final class Task
{
    /** @param array<string, mixed> $context */
    public function __construct(public readonly array $context, public readonly string $payload) {}

    public function name(): string
    {
        return (string) $this->context['job'];
    }

    /** First value of a header. */
    public function header(string $name, string $default = ''): string
    {
        return (string) ($this->context['headers'][$name][0] ?? $default);
    }
}

/** The worker's side of the protocol. */
final class Worker
{
    public readonly Stream $stream;

    public function __construct()
    {
        $relay = getenv('RR_RELAY') ?: 'pipes';
        if ($relay === 'pipes') {
            $this->stream = new Stream(STDIN, STDOUT);

            return;
        }
        $socket = stream_socket_client($relay) ?: throw new \RuntimeException("nobody listens on {$relay}");
        $this->stream = new Stream($socket, $socket);
    }

    /** The next job; null when the worker is to end. */
    public function wait(): ?Task
    {
        while (($frame = $this->stream->read()) !== null) {
            if (($frame->stream & (Frame::STOP | Frame::PONG)) !== 0) {
                // About a stream that has ended: as the stock worker does.
                continue;
            }
            if (($frame->flags & Frame::CONTROL) === 0) {
                $length = $frame->options[0];

                return new Task(
                    (array) json_decode(substr($frame->payload, 0, $length), true, 512, JSON_THROW_ON_ERROR),
                    substr($frame->payload, $length),
                );
            }
            $control = (array) json_decode($frame->payload, true, 512, JSON_THROW_ON_ERROR);
            if ($control['stop'] ?? false) {
                return null;
            }
            $this->stream->write(new Frame(Frame::CONTROL, [], (string) json_encode(['pid' => getmypid()])));
        }

        return null;
    }

    /** @param array<string, mixed> $data */
    public function answer(int $type, array $data = []): void
    {
        $this->respond((string) json_encode(['type' => $type, 'data' => $data]));
    }

    public function respond(string $body, string $header = ''): void
    {
        $this->stream->write(new Frame(0, [strlen($header)], $header . $body));
    }
}

/** Calls methods of a daemon over its RPC address. */
final class RpcClient
{
    private Stream $stream;
    private int $sequence = 0;

    /** @param string $address tcp://host:port or unix:///path */
    public function __construct(string $address)
    {
        $socket = stream_socket_client($address, $code, $message, 5.0);
        if ($socket === false) {
            throw new \RuntimeException("$address: $message");
        }
        $this->stream = new Stream($socket, $socket);
    }

    /** @return string the encoded reply */
    public function call(string $method, string $body, int $codec = Frame::PROTO): string
    {
        $sequence = ++$this->sequence;
        $this->stream->write(new Frame($codec, [$sequence, strlen($method)], $method . $body));
        $reply = $this->stream->read() ?? throw new \RuntimeException("$method: connection was closed");
        if (($reply->options[0] ?? null) !== $sequence) {
            throw new \RuntimeException("$method: reply belongs to another call");
        }
        $content = substr($reply->payload, $reply->options[1] ?? 0);
        if (($reply->flags & Frame::ERROR) !== 0) {
            throw new \RuntimeException($content);
        }

        return $content;
    }

    /** @param array<string, mixed> $argument */
    public function json(string $method, array $argument): mixed
    {
        $body = (string) json_encode((object) $argument, JSON_THROW_ON_ERROR);

        return json_decode($this->call($method, $body, Frame::JSON), true, 512, JSON_THROW_ON_ERROR);
    }
}

/** Protobuf messages of package jobs.v1 that a producer needs. */
final class Proto
{
    /** @param array{name: string, id: string, payload?: string, headers?: array<string, list<string>>, pipeline: string, priority?: int, delay?: int, auto_ack?: bool} $job */
    public static function job(array $job): string
    {
        $options = self::varintField(1, $job['priority'] ?? 0)
            . self::bytesField(2, $job['pipeline'])
            . self::varintField(3, $job['delay'] ?? 0)
            . self::varintField(6, ($job['auto_ack'] ?? false) ? 1 : 0);
        $bytes = self::bytesField(1, $job['name']) . self::bytesField(2, $job['id']) . self::bytesField(3, $job['payload'] ?? '');
        foreach ($job['headers'] ?? [] as $name => $values) {
            $list = implode('', array_map(static fn(string $value): string => self::bytesField(1, $value), $values));
            $bytes .= self::bytesField(4, self::bytesField(1, (string) $name) . self::bytesField(2, $list));
        }

        return $bytes . self::bytesField(5, $options);
    }

    /** @param list<array<string, mixed>> $jobs */
    public static function jobs(array $jobs): string
    {
        return implode('', array_map(static fn(array $job): string => self::bytesField(1, self::job($job)), $jobs));
    }

    public static function bytesField(int $number, string $value): string
    {
        return self::varint($number << 3 | 2) . self::varint(strlen($value)) . $value;
    }

    /** Left out if it is 0, as protobuf does. */
    private static function varintField(int $number, int $value): string
    {
        return $value === 0 ? '' : self::varint($number << 3) . self::varint($value);
    }

    private static function varint(int $value): string
    {
        $bytes = '';
        do {
            $rest = ($value >> 7) & 0x01ffffffffffffff;
            $bytes .= chr(($value & 0x7f) | ($rest !== 0 ? 0x80 : 0));
            $value = $rest;
        } while ($value !== 0);

        return $bytes;
    }
}
