import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { encodeBatch, type JobToPush, type RpcClient } from "../../src/testing/rpc-client.ts";
import { type Figure, median } from "./figures.ts";

const WORKER = join(import.meta.dirname, "../../../test/bench/noop-worker.php");
const BATCH = 1000;
export const PAYLOAD: Buffer = Buffer.alloc(64, "x");

/** The broker's own client, doing the work of the daemon without it, on a queue of its own. */
export interface BareClient {
  /** Publishes so many messages of 64 bytes as fast as the client can; resolves when all are confirmed. */
  publishAll(count: number): Promise<void>;
  /** Publishes and awaits the confirmation, one message after the other. */
  publishInTurn(count: number): Promise<void>;
  /** Consumes and acknowledges so many of the messages that wait; does nothing with them. */
  consumeAll(count: number): Promise<void>;
  close(): Promise<void>;
}

/** What is measured on one broker. */
export interface BrokerBench {
  readonly kind: string;
  /**
   * Lines of the daemon's configuration.
   *
   * @returns `section`: the broker's top-level section; `options`: the pipeline's `config`, YAML flow style
   */
  configure(address: string, queue: string): { readonly section: string; readonly options: string };
  /** @param queue exists only once it was created here */
  connect(address: string, queue: string): Promise<BareClient>;
  /** Messages of a round of consuming. */
  readonly consumed: number;
  /** Messages that are published in turn, in place of a thousand, where that takes too long; the time is scaled. */
  readonly inTurn: number;
}

interface Rounds {
  readonly count: number;
  readonly consumed: number;
  readonly inTurn: number;
  readonly singles: number;
}

function job(n: number): JobToPush {
  const id = `00000000-0000-4000-8000-${n.toString().padStart(12, "0")}`;
  return { pipeline: "bench", id, payload: PAYLOAD };
}

async function millis(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function pushAll(client: RpcClient, count: number): Promise<void> {
  for (let first = 0; first < count; first += BATCH) {
    const length = Math.min(BATCH, count - first);
    await client.sendBatch(encodeBatch(Array.from({ length }, (_value, n) => job(first + n))));
  }
}

/** Executions of all workers so far. */
async function executed(client: RpcClient): Promise<number> {
  const { workers } = (await client.call("informer.Workers", "jobs")) as { workers: { numExecs?: number }[] };
  return workers.reduce((sum, { numExecs = 0 }) => sum + numExecs, 0);
}

async function consume(client: RpcClient, count: number): Promise<void> {
  await client.call("jobs.Resume", { pipelines: ["bench"] });
  while ((await executed(client)) < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** One round: each figure of ours and, right after it, its yardstick. */
class Round {
  readonly #bench: BrokerBench;
  readonly #address: string;
  readonly #rounds: Rounds;

  constructor(bench: BrokerBench, address: string, rounds: Rounds) {
    this.#bench = bench;
    this.#address = address;
    this.#rounds = rounds;
  }

  async run(results: Results): Promise<void> {
    const queue = `bench-${randomBytes(6).toString("hex")}`;
    const { section, options } = this.#bench.configure(this.#address, `${queue}-a`);
    const pipeline = `bench: { driver: ${this.#bench.kind}, config: ${options} }`;
    const daemon = await DaemonProcess.start({
      config: [
        section,
        `server: { command: ${JSON.stringify(["php", WORKER])} }`,
        `jobs: { pool: { num_workers: 1 }, pipelines: { ${pipeline} } }`,
      ].join("\n"),
      logLevel: "info",
    });
    const bare = await this.#bench.connect(this.#address, `${queue}-b`);
    try {
      const client = await daemon.connect();
      await this.#measure(client, bare, results);
      client.close();
    } finally {
      await bare.close();
      await daemon.stop();
    }
  }

  async #measure(client: RpcClient, bare: BareClient, results: Results): Promise<void> {
    const { consumed, inTurn, singles } = this.#rounds;
    const batch = encodeBatch(Array.from({ length: BATCH }, (_value, n) => job(n)));
    // The first ones warm both sides up.
    await client.sendBatch(batch);
    await bare.publishAll(BATCH);
    results.batch.push(await millis(() => client.sendBatch(batch)));
    results.bareBatch.push(await millis(() => bare.publishAll(BATCH)));
    results.bareInTurn.push(((await millis(() => bare.publishInTurn(inTurn))) * BATCH) / inTurn);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let n = 0; n < singles; n++) {
      ours.push((await millis(() => client.push(job(n)))) * 1000);
      theirs.push((await millis(() => bare.publishInTurn(1))) * 1000);
    }
    results.single.push(median(ours));
    results.bareSingle.push(median(theirs));
    const waiting = 2 * BATCH + singles;
    if (consumed > waiting) await pushAll(client, consumed - waiting);
    if (consumed > waiting + inTurn) await bare.publishAll(consumed - waiting - inTurn);
    results.consume.push((consumed * 1000) / (await millis(() => consume(client, consumed))));
    results.bareConsume.push((consumed * 1000) / (await millis(() => bare.consumeAll(consumed))));
  }
}

class Results {
  readonly batch: number[] = [];
  readonly bareBatch: number[] = [];
  readonly bareInTurn: number[] = [];
  readonly single: number[] = [];
  readonly bareSingle: number[] = [];
  readonly consume: number[] = [];
  readonly bareConsume: number[] = [];

  figures(kind: string): readonly Figure[] {
    const atMost = (ratio: number): Figure["goal"] => ({ ratio, is: "at most" });
    return [
      {
        path: `${kind}: PushBatch of 1,000 × 64 B`,
        unit: "ms",
        ours: this.batch,
        yardstick: this.bareBatch,
        yardstickName: "client alone, as fast as it can",
        goal: atMost(1.3),
      },
      {
        path: `${kind}: PushBatch of 1,000 × 64 B`,
        unit: "ms",
        ours: this.batch,
        yardstick: this.bareInTurn,
        yardstickName: "client alone, one after the other",
        goal: atMost(0.2),
      },
      {
        path: `${kind}: single Push p50`,
        unit: "µs",
        ours: this.single,
        yardstick: this.bareSingle,
        yardstickName: "client alone",
        goal: atMost(1.2),
      },
      {
        path: `${kind}: consume and acknowledge, 1 PHP worker`,
        unit: "jobs/s",
        ours: this.consume,
        yardstick: this.bareConsume,
        yardstickName: "client alone, no worker",
        goal: { ratio: 0.6, is: "at least" },
      },
    ];
  }
}

/** All figures of one broker. */
export async function measureBroker(bench: BrokerBench, address: string, short: boolean): Promise<readonly Figure[]> {
  const rounds: Rounds = short
    ? { count: 1, consumed: 2500, inTurn: 50, singles: 10 }
    : { count: 5, consumed: bench.consumed, inTurn: bench.inTurn, singles: 200 };
  const results = new Results();
  for (let round = 0; round < rounds.count; round++) await new Round(bench, address, rounds).run(results);
  return results.figures(bench.kind);
}
