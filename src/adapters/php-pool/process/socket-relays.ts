import { createServer, type Server, type Socket } from "node:net";
import { InvalidConfigError, messageOf } from "../../../domain/errors.ts";
import type { Clock, Timer } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import { encodeFrame, FLAGS, type Frame } from "../../goridge/frame.ts";
import { PipeRelay } from "../pipe-relay.ts";
import type { Relay, RelayListener } from "../relay.ts";
import type { ProcessIdentity } from "./process-identity.ts";
import { ancestorsOf } from "./process-tree.ts";
import { clearStaleSocket, dsnOf, protectSocket, type RelayAddress } from "./relay-address.ts";

/** A peer that has not told its pid by then is no worker. */
const HANDSHAKE_MS = 10_000;
/** Peers that may be telling their pid at the same time. */
const MAX_STRANGERS = 1024;
/** Bytes in front of the end of the first frame that no worker needs. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Refused peers are reported that often at most. */
const REPORT_MS = 10_000;

/** What is done with the connection of a worker, and its answer to the pid request. */
export type Connected = (relay: Relay, answer: Frame) => void;

export interface SocketRelaysOptions {
  readonly address: RelayAddress;
  readonly maxFrameBytes: number;
  /** Whom the workers run as. */
  readonly identity: ProcessIdentity;
}

/**
 * Where workers connect that do not speak over their standard streams. All peers are asked for their pid at the same time,
 * each for a limited time, so none of them can hold up another; one whose pid is neither that of a worker being started nor
 * of a descendant of one is turned away.
 */
export class SocketRelays {
  readonly #options: SocketRelaysOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #expected = new Map<number, Connected>();
  readonly #strangers = new Set<Relay>();
  #server: Server | undefined;
  #port = 0;
  #reportedAtMs = -Infinity;

  /** @param log of the channel `server` */
  constructor(options: SocketRelaysOptions, clock: Clock, log: Logger) {
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
  }

  /** How workers reach it, for RR_RELAY. */
  get dsn(): string {
    return dsnOf(this.#options.address, this.#port);
  }

  /** @throws {InvalidConfigError} the address can not be used */
  async open(): Promise<void> {
    const { address, identity } = this.#options;
    if (address.t === "unix") await clearStaleSocket(address.path);
    const server = createServer({ noDelay: true }, (socket) => {
      this.#accept(socket);
    });
    await listen(server, address, this.dsn);
    server.on("error", (error) => {
      this.#log.error({ err: error }, "the listener for workers failed");
    });
    this.#server = server;
    if (address.t === "unix") await protectSocket(address.path, identity);
    const bound = server.address();
    if (typeof bound === "object" && bound !== null) this.#port = bound.port;
    this.#log.debug({ address: this.dsn }, "workers connect here");
  }

  /** Turns away who has not told its pid; connections of workers are theirs. Idempotent. */
  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    this.#expected.clear();
    for (const relay of this.#strangers) relay.close();
    await new Promise<void>((resolve) => {
      server.close(() => {
        resolve();
      });
    });
  }

  /** A worker was started and will connect. @returns ends that; to be called in any case */
  expect(pid: number, connected: Connected): () => void {
    this.#expected.set(pid, connected);
    return () => {
      if (this.#expected.get(pid) === connected) this.#expected.delete(pid);
    };
  }

  #accept(socket: Socket): void {
    if (this.#server === undefined || this.#strangers.size >= MAX_STRANGERS || !isLocal(socket)) {
      this.#report("it does not come from this machine, or too many come at once", socket);
      socket.on("error", () => undefined);
      socket.destroy();
      return;
    }
    const relay = new PipeRelay(socket, socket, this.#options.maxFrameBytes);
    this.#strangers.add(relay);
    const refuse = (reason: string): void => {
      if (!this.#strangers.delete(relay)) return;
      timer.cancel();
      relay.close();
      this.#report(reason, socket);
    };
    const timer: Timer = this.#clock.startTimer(HANDSHAKE_MS, () => {
      refuse(`it did not tell its pid within ${HANDSHAKE_MS} ms`);
    });
    relay.listen(
      listener(refuse, relay, (answer) => {
        const connected = this.#expectedBy(answer);
        if (connected === undefined) {
          refuse("it is no worker that was just started");
          return;
        }
        timer.cancel();
        this.#strangers.delete(relay);
        connected(relay, answer);
      }),
    );
    relay.send(encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from(JSON.stringify({ pid: process.pid }))]));
  }

  /** Who waits for the process that gave this answer, or for one it descends from. */
  #expectedBy(answer: Frame): Connected | undefined {
    const pid = pidOf(answer);
    if (pid === undefined) return undefined;
    for (const candidate of [pid, ...ancestorsOf(pid)]) {
      const connected = this.#expected.get(candidate);
      if (connected === undefined) continue;
      this.#expected.delete(candidate);
      return connected;
    }
    return undefined;
  }

  #report(reason: string, socket: Socket): void {
    const nowMs = this.#clock.elapsedMs();
    if (nowMs - this.#reportedAtMs < REPORT_MS) return;
    this.#reportedAtMs = nowMs;
    this.#log.warn({ reason, peer: socket.remoteAddress }, "a connection to server.relay was turned away");
  }
}

function listener(refuse: (reason: string) => void, relay: Relay, answered: (answer: Frame) => void): RelayListener {
  return {
    frame: answered,
    received: () => undefined,
    incomplete: () => {
      if (relay.bufferedBytes > MAX_ANSWER_BYTES) refuse("it sent too much");
    },
    broken: () => {
      refuse("it sent no frame");
    },
    writeFailed: () => {
      refuse("it does not read");
    },
    ended: () => {
      refuse("it closed the connection");
    },
  };
}

function listen(server: Server, address: RelayAddress, dsn: string): Promise<void> {
  const target =
    address.t === "unix"
      ? { path: address.path }
      : { port: address.port, host: address.host || "127.0.0.1", exclusive: true };
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const inUse = error.code === "EADDRINUSE";
      const reason = inUse ? "another process listens there: stop it or choose another address" : messageOf(error);
      reject(new InvalidConfigError([`server.relay: can not listen on ${dsn}: ${reason}`], { cause: error }));
    };
    server.once("error", failed);
    server.listen(target, () => {
      server.off("error", failed);
      resolve();
    });
  });
}

function isLocal(socket: Socket): boolean {
  const peer = socket.remoteAddress;
  return peer === undefined || peer === "::1" || peer.startsWith("127.") || peer.startsWith("::ffff:127.");
}

function pidOf({ flags, payload }: Frame): number | undefined {
  if ((flags & FLAGS.control) === 0) return undefined;
  try {
    const answer: unknown = JSON.parse(payload.toString("utf8"));
    const pid = typeof answer === "object" && answer !== null && "pid" in answer ? answer.pid : undefined;
    return typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
