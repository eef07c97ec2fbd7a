import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { JobsError } from "../../src/domain/errors.ts";
import { NO_HEADERS } from "../../src/domain/job-headers.ts";
import type { JobResult } from "../../src/domain/job-result.ts";
import { aJob } from "../../src/testing/a-job.ts";
import { type SettleFault, type SimulatedBroker, SimulatedBrokerFactory } from "../support/simulated-broker.ts";
import { aWorld, type World } from "../support/world.ts";

type PipelineName = "memory" | "broker";

type Command =
  | { readonly t: "push"; readonly pipeline: PipelineName; readonly delaySec: number; readonly autoAck: boolean }
  | { readonly t: "batch"; readonly pipeline: PipelineName; readonly jobs: number }
  | { readonly t: "answer"; readonly worker: number; readonly result: JobResult }
  | { readonly t: "advance"; readonly ms: number }
  | { readonly t: "pause" | "resume"; readonly pipeline: PipelineName }
  | { readonly t: "settleFault"; readonly faults: readonly SettleFault[] }
  | { readonly t: "storeFault" | "pushFault" | "loseConnection" | "addWorker" | "removeWorker" };

const RESULTS: readonly JobResult[] = [
  { t: "ack" },
  { t: "unknown", type: 9 },
  { t: "error", message: "e", requeue: false, delayMs: 0, headers: NO_HEADERS },
  { t: "error", message: "e", requeue: true, delayMs: 500, headers: NO_HEADERS },
  { t: "nack", message: "n", requeue: false, delayMs: 0 },
  { t: "nack", message: "n", requeue: true, delayMs: 0 },
  { t: "requeue", message: "r", delayMs: 0, headers: { k: ["v"] } },
  { t: "malformed", message: "m", answer: Uint8Array.of(1) },
  { t: "context", message: "c" },
  { t: "failed", reason: "crash", message: "f" },
  { t: "failed", reason: "timeout", message: "f" },
  { t: "failed", reason: "protocol", message: "f" },
  { t: "not_started", reason: "worker_gone" },
  { t: "not_started", reason: "worker_stop" },
];

/** Verdicts after which the job is done. */
function isDone(result: JobResult): boolean {
  return result.t === "ack" || result.t === "unknown" || (result.t === "error" && !result.requeue);
}

const pipelineName = fc.constantFrom<PipelineName>("memory", "broker");

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      t: fc.constant("push"),
      pipeline: pipelineName,
      delaySec: fc.constantFrom(0, 0, 0, 1, 3),
      autoAck: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ t: fc.constant("batch"), pipeline: pipelineName, jobs: fc.integer({ min: 0, max: 30 }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ t: fc.constant("answer"), worker: fc.nat(3), result: fc.constantFrom(...RESULTS) }),
  },
  { weight: 4, arbitrary: fc.record({ t: fc.constant("advance"), ms: fc.constantFrom(1, 100, 1000, 5000, 60_000) }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constantFrom("pause", "resume"), pipeline: pipelineName }) },
  {
    weight: 2,
    arbitrary: fc.record({
      t: fc.constant("settleFault"),
      faults: fc.array(fc.constantFrom<SettleFault>("unavailable", "stale"), { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      t: fc.constantFrom("storeFault", "pushFault", "loseConnection", "addWorker", "removeWorker"),
    }),
  },
);

/** Plays commands, and knows what became of every job that was accepted. */
class Run {
  readonly world: World;
  readonly broker: SimulatedBroker;
  readonly accepted = new Map<string, PipelineName>();
  readonly done = new Map<string, number>();
  readonly autoAcked = new Set<string>();
  failures = 0;
  #losses = 0;

  constructor(world: World, broker: SimulatedBroker) {
    this.world = world;
    this.broker = broker;
  }

  static async start(): Promise<Run> {
    const factory = new SimulatedBrokerFactory();
    const pipelines = [{ name: "memory" }, { name: "broker", driver: "simulated", policy: '{"fetch_ahead": 3}' }];
    const world = await aWorld([], { workers: 3, extraDrivers: [factory], timeoutMs: 10_000 });
    factory.clock = world.clock;
    for (const fields of pipelines) await world.declare.execute({ driver: "memory", ...fields });
    await world.resume.execute(["memory", "broker"]);
    const [broker] = factory.brokers;
    if (broker === undefined) throw new Error("no broker was built");
    return new Run(world, broker);
  }

  async play(step: Command): Promise<void> {
    const { world, broker } = this;
    switch (step.t) {
      case "push":
        await this.#push(step.pipeline, step.delaySec, step.autoAck);
        break;
      case "batch":
        await this.#batch(step.pipeline, step.jobs);
        break;
      case "answer":
        this.answer(step.worker, step.result);
        break;
      case "advance":
        await world.clock.advanceAsync(step.ms);
        break;
      case "pause":
      case "resume":
        await world[step.t].execute([step.pipeline]).catch(ignoreStateError);
        break;
      case "settleFault":
        broker.settleFaults.push(...step.faults);
        break;
      case "storeFault":
        world.store.faults.failNext("put", new Error("disk full"));
        break;
      case "pushFault":
        broker.pushFaults += 1;
        break;
      case "loseConnection":
        broker.loseConnection();
        break;
      case "addWorker":
        world.pool.gainWorker();
        break;
      case "removeWorker":
        if (world.pool.free > 0) world.pool.loseWorker();
    }
    await world.settle();
    this.checkCounters();
  }

  answer(worker: number, result: JobResult): void {
    const { running } = this.world.pool;
    const task = running[worker % Math.max(1, running.length)];
    if (task === undefined) return;
    if (result.t === "failed") this.failures += 1;
    if (isDone(result)) this.done.set(task.jobId, (this.done.get(task.jobId) ?? 0) + 1);
    task.answer(result);
  }

  checkCounters(): void {
    const { pool, drain } = this.world;
    const flows = [this.world.flow("memory"), this.world.flow("broker")];
    const running = flows.reduce((sum, flow) => sum + flow.running, 0);
    expect(running).toBe(pool.running.length);
    expect(drain.underway).toBeGreaterThanOrEqual(running);
    // A free worker and a job that may run never wait for each other.
    for (const flow of flows) if (pool.free > 0 && flow.runnable) expect(flow.queued).toBe(0);
  }

  /** Workers and broker work again; everything runs to its end. */
  async runOut(): Promise<void> {
    const { world, broker } = this;
    for (const name of ["memory", "broker"]) await world.resume.execute([name]).catch(ignoreStateError);
    world.pool.gainWorker();
    for (let round = 0; round < 500; round++) {
      while (world.pool.running.length > 0) {
        this.answer(0, { t: "ack" });
        await world.settle();
      }
      await world.clock.advanceAsync(70_000);
      if (world.pool.running.length === 0) broker.loseConnection();
      const [memory] = await world.stat.execute();
      if (memory?.active === 0 && memory.delayed === 0 && broker.size === 0 && world.pool.running.length === 0) return;
    }
    throw new Error("the jobs do not come to an end");
  }

  /** The daemon stops while jobs run and wait. */
  async stop(): Promise<void> {
    const { world } = this;
    const drained = world.drainJobs.execute([world.pool], 5000);
    await world.clock.advanceAsync(10_000);
    await drained;
    const closed = world.drainJobs.close(1000);
    await world.clock.advanceAsync(1000);
    await closed;
  }

  /** How often the job is somewhere: done, in the store, or still at the broker. */
  places(id: string): number {
    const stored = this.world.store.entries.filter(({ job }) => job.id === id).length;
    const atBroker = [...this.broker.waiting, ...this.broker.delayed].filter((job) => job.id === id).length;
    return (this.done.get(id) ?? 0) + stored + atBroker;
  }

  /** A job acknowledged before it ran may be lost if neither broker nor store takes it: then that was reported. */
  checkPlaces(id: string): void {
    const places = this.places(id);
    if (places === 0 && this.autoAcked.has(id) && this.#reportedLosses() > this.#losses) this.#losses += 1;
    else if (this.broker.faulted.has(id)) expect([id, places > 0]).toEqual([id, true]);
    else expect([id, places]).toEqual([id, 1]);
  }

  #reportedLosses(): number {
    return this.world.metrics.linesOf("settleFailed broker release").length;
  }

  checkEnd(): void {
    const { world, broker } = this;
    const { metrics, drain } = world;
    expect(broker.violations).toEqual([]);
    expect(world.log.messages("error")).not.toContain("delivery was settled twice");
    expect(drain.underway).toBe(0);
    for (const name of ["memory", "broker"]) {
      const flow = world.flow(name);
      expect([name, flow.running, flow.settling]).toEqual([name, 0, 0]);
    }
    expect(world.pool.running).toEqual([]);
    expect(metrics.linesOf("executed")).toHaveLength(world.pool.started.length);
    expect(metrics.linesOf("attemptFailed")).toHaveLength(this.failures);
    expect(metrics.linesOf("deadLettered")).toHaveLength(world.store.entries.length);
  }

  async #push(pipeline: PipelineName, delaySec: number, autoAck: boolean): Promise<void> {
    const job = aJob({ pipeline, delaySec, autoAck });
    try {
      await this.world.push.execute(job);
      this.accepted.set(job.id, pipeline);
      if (autoAck) this.autoAcked.add(job.id);
    } catch (error) {
      if (!JobsError.is(error)) throw error;
    }
  }

  async #batch(pipeline: PipelineName, count: number): Promise<void> {
    const jobs = Array.from({ length: count }, () => aJob({ pipeline }));
    const { failures } = await this.world.pushBatch.execute(jobs);
    const failed = new Set(failures.map(({ index }) => index));
    for (const [index, job] of jobs.entries()) if (!failed.has(index)) this.accepted.set(job.id, pipeline);
  }
}

function ignoreStateError(error: unknown): void {
  if (!JobsError.is(error) || error.code !== "JOBS_PIPELINE_STATE") throw error;
}

const commands = fc.array(command, { minLength: 1, maxLength: 80 });

describe("Whatever workers, brokers, stores and operators do", () => {
  test("every accepted job is done or in the failed store, and once where every settlement worked", async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (steps) => {
        const run = await Run.start();
        for (const step of steps) await run.play(step);

        await run.runOut();

        run.checkEnd();
        for (const id of run.accepted.keys()) run.checkPlaces(id);
      }),
      { numRuns: 150 },
    );
  });

  test("a stop leaves every job done, stored, at its broker, or counted as dropped from memory", async () => {
    await fc.assert(
      fc.asyncProperty(commands, fc.boolean(), async (steps, brokerTakesNothing) => {
        const run = await Run.start();
        for (const step of steps) await run.play(step);
        if (brokerTakesNothing) run.broker.pushFaults = Infinity;

        await run.stop();

        run.checkEnd();
        let memoryLeft = 0;
        for (const [id, pipeline] of run.accepted) {
          if (pipeline === "memory") memoryLeft += 1 - run.places(id);
          else run.checkPlaces(id);
        }
        const dropped = run.world.metrics.linesOf("memoryDropped").map((line) => Number(line.split(" ")[2]));
        expect(dropped.reduce((sum, jobs) => sum + jobs, 0)).toBe(memoryLeft);
      }),
      { numRuns: 150 },
    );
  });
});
