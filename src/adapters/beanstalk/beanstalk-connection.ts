import FiveBeansClient from "fivebeans/lib/client.js";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { runInThisContext } from "node:vm";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { Fifo } from "../../domain/fifo.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import { AnswerGatherer } from "./answer-gatherer.ts";
import type { BeanstalkAddress } from "./beanstalk-address.ts";
import {
  type Answered,
  BeanstalkRefusal,
  type BeanstalkSession,
  ConnectionLostError,
  type JobStats,
  type PutCommand,
  type TubeStats,
} from "./beanstalk-session.ts";
import { counter, parseStats } from "./stats-text.ts";

/** The answer to a reserve may come so much later than the server was told to wait. */
const RESERVE_SLACK_MS = 5_000;

/** After a limit has passed: the answer may be there already and wait for its turn. */
const GRACE_MS = 1_000;

const KEEP_ALIVE_MS = 10_000;

/** beanstalkd's own default, for servers that do not say. */
const DEFAULT_MAX_JOB_BYTES = 65_535;

/** Refusals after which the connection is as good as before; any other means that it is out of step. */
const HARMLESS = new Set([
  "NOT_FOUND",
  "TIMED_OUT",
  "DEADLINE_SOON",
  "JOB_TOO_BIG",
  "DRAINING",
  "OUT_OF_MEMORY",
  "INTERNAL_ERROR",
  "BURIED",
  "NOT_IGNORED",
]);

/** Bodies as they came: the client would give texts to a YAML parser. */
const RAW_BODIES = { RESERVED: "passthrough", FOUND: "passthrough", OK: "passthrough" } as const;

const NOTHING = Buffer.alloc(0);

export interface ConnectionOptions {
  readonly address: BeanstalkAddress;
  /** Limit of a command that the server answers at once. */
  readonly answerTimeoutMs: number;
}

interface Pending {
  readonly handler: FiveBeansClient.Handler;
  readonly answered: Answered;
}

/**
 * The client makes buffers in a way of long ago. Node looks at the stack each of the first 10,000 times that happens, 20 µs
 * and more, in order not to complain about packages; after one complaint it does not look again. So it gets its one
 * chance here, with nobody to hear it.
 */
function spareStackTraces(): void {
  const kept = Object.getOwnPropertyDescriptor(process, "emitWarning");
  if (kept === undefined) return;
  process.emitWarning = () => undefined;
  try {
    // In a script of its own, since a complaint about a file inside of node_modules would be held back.
    runInThisContext("Buffer(0)", { filename: "/jobsd/buffer-warning.js" });
  } finally {
    Object.defineProperty(process, "emitWarning", kept);
  }
}

spareStackTraces();

/**
 * fivebeans' client, hardened. The client forgets what was asked when its connection ends, waits for ever, takes any
 * answer for the next one, and is quadratic in the pieces of a body; here every call is answered exactly once and in
 * time, a connection that is out of step or silent is ended, and one client object serves one connection only.
 */
export class BeanstalkConnection implements BeanstalkSession {
  readonly ended: Promise<unknown>;
  readonly #client: FiveBeansClient;
  readonly #clock: Clock;
  readonly #answerTimeoutMs: number;
  readonly #gatherer = new AnswerGatherer();
  /** Unanswered calls in order; their limits are their arrivals. */
  readonly #pending = new Fifo<Pending>();
  #resolveEnded: (reason: unknown) => void = () => undefined;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #overdue = false;
  #closed = false;
  #reason: unknown;
  #instance = "";
  #maxJobBytes = DEFAULT_MAX_JOB_BYTES;

  private constructor(client: FiveBeansClient, clock: Clock, answerTimeoutMs: number) {
    this.#answerTimeoutMs = answerTimeoutMs;
    this.#client = client;
    this.#clock = clock;
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    client.on("error", (error: unknown) => {
      this.destroy(error);
    });
    client.on("close", () => {
      this.destroy();
      this.#resolveEnded(this.#reason);
    });
  }

  /**
   * Connects and sees whether a beanstalkd answers.
   *
   * @throws the connection failed, or `signal` fired first
   */
  static async open(options: ConnectionOptions, clock: Clock, signal: CancelSignal): Promise<BeanstalkConnection> {
    const { address, answerTimeoutMs } = options;
    const host = address.t === "tcp" ? await resolve(address) : "";
    if (signal.aborted) throw reasonOf(signal);
    const client = new FiveBeansClient(host, address.t === "tcp" ? address.port : pipePath(address.path));
    const connection = new BeanstalkConnection(client, clock, answerTimeoutMs);
    const abort = (): void => {
      connection.destroy(reasonOf(signal));
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      await connection.#connect();
      return connection;
    } catch (error) {
      connection.destroy(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get instance(): string {
    return this.#instance;
  }

  get maxJobBytes(): number {
    return this.#maxJobBytes;
  }

  together(calls: () => void): void {
    const { stream } = this.#client;
    stream?.cork();
    calls();
    stream?.uncork();
  }

  put(put: PutCommand, answered: Answered): void {
    if (this.#refuses(answered)) return;
    this.#client.put(put.priority, put.delaySec, put.ttrSec, put.body, this.#answer);
    this.#await(answered, this.#answerTimeoutMs);
  }

  reserve(timeoutSec: number, answered: Answered): void {
    if (this.#refuses(answered)) return;
    this.#client.reserve_with_timeout(timeoutSec, this.#answer);
    this.#await(answered, timeoutSec * 1000 + RESERVE_SLACK_MS);
  }

  delete(id: string, answered: Answered): void {
    if (this.#refuses(answered)) return;
    this.#client.destroy(id, this.#answer);
    this.#await(answered, this.#answerTimeoutMs);
  }

  release(id: string, priority: number, delaySec: number, answered: Answered): void {
    if (this.#refuses(answered)) return;
    this.#client.release(id, priority, delaySec, this.#answer);
    this.#await(answered, this.#answerTimeoutMs);
  }

  bury(id: string, priority: number, answered: Answered): void {
    if (this.#refuses(answered)) return;
    this.#client.bury(id, priority, this.#answer);
    this.#await(answered, this.#answerTimeoutMs);
  }

  touch(id: string, answered: Answered): void {
    if (this.#refuses(answered)) return;
    this.#client.touch(id, this.#answer);
    this.#await(answered, this.#answerTimeoutMs);
  }

  async use(tube: string): Promise<void> {
    await this.#ask(() => {
      this.#client.use(tube, this.#answer);
    });
  }

  async watchOnly(tube: string): Promise<void> {
    const watched = this.#ask(() => {
      this.#client.watch(tube, this.#answer);
    });
    if (tube === "default") {
      await watched;
      return;
    }
    const ignored = this.#ask(() => {
      this.#client.ignore("default", this.#answer);
    });
    await Promise.all([watched, ignored]);
  }

  async statsJob(id: string): Promise<JobStats> {
    const stats = await this.#stats(() => {
      this.#client.stats_job(id, this.#answer);
    });
    return {
      priority: counter(stats, "pri"),
      ttrSec: counter(stats, "ttr", 1),
      ageSec: counter(stats, "age"),
      reserves: counter(stats, "reserves"),
      releases: counter(stats, "releases"),
    };
  }

  async statsTube(tube: string): Promise<TubeStats> {
    const stats = await this.#stats(() => {
      this.#client.stats_tube(tube, this.#answer);
    });
    return {
      ready: counter(stats, "current-jobs-ready"),
      reserved: counter(stats, "current-jobs-reserved"),
      delayed: counter(stats, "current-jobs-delayed"),
      buried: counter(stats, "current-jobs-buried"),
    };
  }

  async close(): Promise<void> {
    this.destroy();
    await this.ended;
  }

  destroy(reason?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = reason;
    this.#timer?.cancel();
    this.#client.stream?.destroy();
    // Not inside the call of someone who only wanted to send something.
    queueMicrotask(() => {
      this.#failPending();
    });
  }

  async #connect(): Promise<void> {
    const connected = new Promise<void>((resolve, reject) => {
      this.#client.once("connect", resolve);
      void this.ended.then((reason) => {
        reject(new ConnectionLostError(reason));
      });
    });
    this.#client.connect();
    const { stream } = this.#client;
    if (stream === null) throw new TypeError("the client did not begin to connect");
    stream.removeAllListeners("data");
    stream.on("data", (piece: Buffer) => {
      this.#receive(piece);
    });
    await connected;
    stream.setNoDelay(true);
    stream.setKeepAlive(true, KEEP_ALIVE_MS);
    const stats = await this.#stats(() => {
      this.#client.stats(this.#answer);
    });
    this.#instance = stats.get("id") ?? "";
    this.#maxJobBytes = counter(stats, "max-job-size", DEFAULT_MAX_JOB_BYTES);
  }

  #receive(piece: Buffer): void {
    const bytes = this.#closed ? undefined : this.#gatherer.take(piece);
    if (bytes === undefined) return;
    const client = this.#client;
    const { buffer } = client;
    client.buffer = buffer === undefined || buffer.length === 0 ? bytes : Buffer.concat([buffer, bytes]);
    this.#overdue = false;
    try {
      client.tryHandlingResponse();
      const rest = client.buffer;
      if (rest.length === 0) return;
      if (this.#pending.length === 0) throw new Error("the server answered what was not asked");
      this.#gatherer.waitFor(rest);
    } catch (error) {
      this.destroy(error);
    }
  }

  /** Called by the client, for the oldest unanswered call. */
  readonly #answer: FiveBeansClient.Callback = (word, first = "", second = NOTHING) => {
    const pending = this.#pending.shift();
    if (pending === undefined) return;
    const { answered, handler } = pending;
    if (this.#closed) answered(new ConnectionLostError(this.#reason), "", NOTHING);
    else if (word === null || word === undefined) {
      // An answer without an id begins with its body.
      if (typeof first === "string") answered(undefined, first, second);
      else answered(undefined, "", first);
    } else {
      const refusal = new BeanstalkRefusal(word, handler.args?.slice(1).join(" "));
      if (!HARMLESS.has(word)) this.destroy(refusal);
      answered(refusal, "", NOTHING);
    }
  };

  /** @returns true if the connection has ended: then the call fails, but not before it returned */
  #refuses(answered: Answered): boolean {
    if (!this.#closed) return false;
    queueMicrotask(() => {
      answered(new ConnectionLostError(this.#reason), "", NOTHING);
    });
    return true;
  }

  /** Remembers the call that was just sent. */
  #await(answered: Answered, timeoutMs: number): FiveBeansClient.Handler {
    const { handlers } = this.#client;
    // Sent a moment ago: it is there.
    const [handler] = handlers[handlers.length - 1] as [FiveBeansClient.Handler, unknown];
    const limitMs = this.#clock.elapsedMs() + timeoutMs;
    this.#pending.push({ handler, answered }, limitMs);
    if (limitMs < this.#timerAtMs) this.#watch(limitMs, timeoutMs);
    return handler;
  }

  #watch(atMs: number, inMs: number): void {
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = this.#clock.startTimer(inMs, () => {
      this.#timerAtMs = Infinity;
      this.#checkLimits();
    });
  }

  /** Answers come in order, so the oldest call alone tells whether the server is silent. */
  #checkLimits(): void {
    if (this.#closed || this.#pending.length === 0) return;
    const nowMs = this.#clock.elapsedMs();
    const leftMs = this.#pending.headArrival - nowMs;
    if (leftMs > 0) {
      this.#overdue = false;
      this.#watch(this.#pending.headArrival, leftMs);
    } else if (this.#overdue) {
      this.destroy(new Error("the server does not answer"));
    } else {
      this.#overdue = true;
      this.#watch(nowMs + GRACE_MS, GRACE_MS);
    }
  }

  #failPending(): void {
    for (let pending = this.#pending.shift(); pending !== undefined; pending = this.#pending.shift()) {
      pending.answered(new ConnectionLostError(this.#reason), "", NOTHING);
    }
  }

  #ask(send: () => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const answered: Answered = (failure, _id, body) => {
        if (failure === undefined) resolve(body);
        else reject(failure);
      };
      if (this.#refuses(answered)) return;
      send();
      this.#await(answered, this.#answerTimeoutMs).RESPONSES_REQUIRING_BODY = RAW_BODIES;
    });
  }

  async #stats(send: () => void): Promise<ReadonlyMap<string, string>> {
    return parseStats(await this.#ask(send));
  }
}

/** The client knows no kinds of addresses: names are looked up here where the network asks for one kind. */
async function resolve({ host, family }: BeanstalkAddress & { t: "tcp" }): Promise<string> {
  if (family === 0 || isIP(host) === family) return host;
  return (await lookup(host, { family })).address;
}

/** A text that is no number is a path to Node. */
function pipePath(path: string): string {
  return /^\d+$/.test(path) ? `./${path}` : path;
}

function reasonOf(signal: CancelSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted");
}
