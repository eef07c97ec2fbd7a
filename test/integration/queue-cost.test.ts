import { expect, jest, test } from "@jest/globals";
import { DelayTimer } from "../../src/adapters/memory/delay-timer.ts";
import { MemoryBudget } from "../../src/adapters/memory/memory-budget.ts";
import { MemoryDriver } from "../../src/adapters/memory/memory-driver.ts";
import { NoopMetrics } from "../../src/adapters/telemetry/noop-metrics.ts";
import { ACK } from "../../src/domain/delivery.ts";
import { PriorityQueue } from "../../src/domain/priority-queue.ts";
import { Scheduler } from "../../src/domain/scheduler.ts";
import { aJob } from "../../src/testing/a-job.ts";
import { aPipeline } from "../../src/testing/a-pipeline.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";

jest.setTimeout(240_000);

const SHORT = 1000;
const PAIRS = 20_000;
const ROUNDS = 15;

/**
 * The exact figures are the benchmark's (`npm run bench queue`). Here a cost that grows with what waits must show on any
 * machine: the best of many rounds is compared, since a busy machine makes rounds slower and never faster, and
 * the limit is far above noise and far below what a cost proportional to the length would be (a factor of a thousand).
 */
const MAX_RATIO = 4;

/** Milliseconds of the fastest round of each, measured in turns so that both see the same machine. */
function fastest(short: () => void, long: () => void): { readonly short: number; readonly long: number } {
  const best = { short: Infinity, long: Infinity };
  for (let round = 0; round < ROUNDS; round++) {
    best.short = Math.min(best.short, milliseconds(short));
    best.long = Math.min(best.long, milliseconds(long));
  }
  return best;
}

function milliseconds(work: () => void): number {
  const startedAt = performance.now();
  work();
  return performance.now() - startedAt;
}

function queueOf(length: number): () => void {
  const queue = new PriorityQueue<number>({ order: "fair", maxWaitMs: 0 });
  const lane = queue.addLane("bench", 1);
  queue.setRunnable(lane, true);
  let now = 0;
  for (; now < length; now++) queue.push(lane, 10, now, now);
  return () => {
    for (let pair = 0; pair < PAIRS; pair++) {
      now += 1;
      queue.push(lane, 10, pair, now);
      queue.take(now);
    }
    if (queue.length !== length) throw new Error(`${queue.length} entries instead of ${length}`);
  };
}

test("[JC-30] to push and take costs the same with 10,000,000 entries in the queue as with 1,000", () => {
  const best = fastest(queueOf(SHORT), queueOf(10_000_000));

  expect(best.long / best.short).toBeLessThan(MAX_RATIO);
});

/** A memory pipeline with that many jobs; the function pushes jobs and takes as many through to their acknowledgement. */
function pipelineOf(length: number): () => void {
  const clock = new FakeClock();
  const scheduler = new Scheduler(
    [{ name: "default", size: 1 }],
    { order: "fair", maxWaitMs: 0, heldLimit: 1_000_000 },
    clock,
  );
  const pipeline = aPipeline({ name: "mails" });
  const flow = scheduler.addFlow(pipeline);
  const services = {
    clock,
    timer: new DelayTimer(clock),
    budget: new MemoryBudget(Infinity),
    logger: new FakeLogger(),
    metrics: new NoopMetrics(),
  };
  const options = { prefetch: 100_000, maxJobs: 0, maxBytes: 0 };
  const driver = new MemoryDriver({ pipeline, sink: flow, timeoutMs: 1000 }, options, services);
  flow.attach(driver);
  scheduler.open(flow);
  const payload = new Uint8Array(64);
  let id = 0;
  const push = (): void => {
    void driver.push(aJob({ id: `job-${id++}`, pipeline: "mails", payload, priority: 10 }));
  };
  for (let count = 0; count < length; count++) push();
  return () => {
    for (let pair = 0; pair < PAIRS; pair++) {
      push();
      const ticket = scheduler.take("default");
      if (ticket === undefined) throw new Error("nothing to take");
      const delivery = ticket.taken.item;
      if (delivery.job.id === "") throw new Error("a job without id");
      scheduler.finished(ticket);
      void delivery.settle(ACK);
      scheduler.settled(ticket);
    }
    if (driver.active !== length) throw new Error(`${driver.active} jobs wait instead of ${length}`);
  };
}

test("[JC-30] a job costs the same with 1,000,000 jobs waiting as with 1,000", () => {
  const best = fastest(pipelineOf(SHORT), pipelineOf(1_000_000));

  expect(best.long / best.short).toBeLessThan(MAX_RATIO);
});
