import { describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { FENCE } from "../../../../src/adapters/php-pool/job-frames.ts";
import type { FakeLink } from "../../../support/fake-workers.ts";
import { aStartedPool, type PoolWorld, turns } from "../../../support/pool-world.ts";
import { aTask, type RecordedTask } from "../../../support/worker-tasks.ts";

const PIPELINING = { maxDepth: 4, windowMs: 2, fence: true };

/** The worker answers a pid request. */
function passFence(link: FakeLink): void {
  link.frame({ flags: FLAGS.control, payload: Buffer.from('{"pid":1}') });
}

/** The worker begins with its next job and acknowledges it. */
function execute(link: FakeLink): void {
  passFence(link);
  link.answer();
  link.listener.received();
}

/** A pool whose only worker has answered its probe and enough jobs of name `short` to be trusted with more. */
async function aTrustedPool(options: Parameters<typeof aStartedPool>[0] = {}): Promise<PoolWorld> {
  const world = await aStartedPool({ pipelining: PIPELINING, ...options });
  passFence(world.launcher.last);
  for (let n = 0; n < 10; n++) {
    world.pool.run(aTask({ name: "short" }));
    execute(world.launcher.last);
  }
  return world;
}

/** Gives jobs to the pool as long as it takes them, as the dispatcher does. */
function fill({ pool }: PoolWorld, name = "short"): RecordedTask[] {
  const tasks: RecordedTask[] = [];
  for (;;) {
    const task = aTask({ name });
    if (pool.free === 0 && !(pool.spare && pool.accepts(task.job))) return tasks;
    pool.run(task);
    tasks.push(task);
  }
}

function outcomes(tasks: readonly RecordedTask[]): readonly unknown[] {
  return tasks.map(({ results }) => results.map((result) => (result.t === "failed" ? result.reason : result.t)));
}

describe("finding out whether workers know fences", () => {
  test("a worker is free when it has answered a second pid request", async () => {
    const { pool, launcher } = await aStartedPool({ pipelining: PIPELINING });
    expect(launcher.last.relay.sent).toEqual([FENCE]);
    expect(pool.free).toBe(0);

    passFence(launcher.last);

    expect(pool.free).toBe(1);
  });

  test("[JC-69] a worker that does not answer gets one job at a time, with one warning for the pool", async () => {
    const world = await aStartedPool({ pipelining: PIPELINING, numWorkers: 2 });

    world.clock.advance(1000);
    await turns();

    expect(world.pool.free).toBe(2);
    expect(world.log.messages("warn")).toEqual([
      "workers do not answer a second pid request, they get one job at a time",
    ]);
    const [first] = fill(world);
    expect(world.pool.free).toBe(0);
    expect(world.pool.spare).toBe(false);
    await Promise.resolve();
    world.launcher.at(0).answer();
    expect(first?.results).toEqual([{ t: "ack" }]);
  });
});

describe("an answer to the probe that comes too late", () => {
  test("does not fail the job the worker has by then, and lets it have more from then on", async () => {
    const world = await aStartedPool({ pipelining: PIPELINING });
    world.clock.advance(1000);
    await turns();
    const [first] = fill(world);
    const link = world.launcher.last;

    passFence(link);
    link.answer();
    link.listener.received();
    await turns();

    expect(first?.results).toEqual([{ t: "ack" }]);
    expect([link.killed, world.pool.free]).toEqual([false, 1]);
    for (let n = 0; n < 10; n++) {
      world.pool.run(aTask({ name: "short" }));
      execute(link);
    }
    expect(fill(world).length).toBeGreaterThan(1);
    // Workers that come later are asked again.
    link.die();
    await world.clock.advanceAsync(0);
    expect(world.launcher.last.relay.sent).toEqual([FENCE]);
  });
});

describe("jobs behind each other in one worker", () => {
  test("jobs nobody knows yet run one at a time", async () => {
    const world = await aStartedPool({ pipelining: PIPELINING });
    passFence(world.launcher.last);

    expect(fill(world)).toHaveLength(1);
  });

  test("short jobs fill a worker up to the depth, each with a fence, in one write", async () => {
    const world = await aTrustedPool();
    await new Promise((resolve) => {
      process.nextTick(resolve);
    });
    world.launcher.last.relay.sent.length = 0;

    const tasks = fill(world);
    await new Promise((resolve) => {
      process.nextTick(resolve);
    });

    expect(tasks).toHaveLength(PIPELINING.maxDepth);
    expect(world.launcher.last.relay.sent).toHaveLength(1);
    const [written = Buffer.alloc(0)] = world.launcher.last.relay.sent;
    expect(written.toString("latin1").split(FENCE.toString("latin1"))).toHaveLength(PIPELINING.maxDepth + 1);
  });

  test("answers settle them in their order", async () => {
    const world = await aTrustedPool();
    const tasks = fill(world);

    execute(world.launcher.last);
    passFence(world.launcher.last);
    world.launcher.last.answer('{"type":3,"data":{"message":"no"}}');

    expect(outcomes(tasks)).toEqual([["ack"], ["nack"], [], []]);
  });

  test("[JC-67] a free worker goes before a busy one", async () => {
    const world = await aTrustedPool({ numWorkers: 2 });
    passFence(world.launcher.at(0));
    const [first, second] = [aTask({ name: "short" }), aTask({ name: "short" })];

    world.pool.run(first);
    world.pool.run(second);

    expect(world.pool.workers().map(({ state }) => state)).toEqual(["working", "working"]);
  });

  test("[JC-67] jobs that take long are never behind each other", async () => {
    const world = await aStartedPool({ pipelining: PIPELINING });
    passFence(world.launcher.last);
    for (let n = 0; n < 20; n++) {
      world.pool.run(aTask({ name: "long" }));
      passFence(world.launcher.last);
      world.clock.advance(100);
      world.launcher.last.answer();
      world.launcher.last.listener.received();
    }

    expect(fill(world, "long")).toHaveLength(1);
  });

  test("a job of another name that nobody knows is not put behind a short one", async () => {
    const world = await aTrustedPool();
    world.pool.run(aTask({ name: "short" }));

    expect(world.pool.accepts(aTask({ name: "unknown" }).job)).toBe(false);
  });

  test("a job with its own limit is not put behind another one", async () => {
    const world = await aTrustedPool();
    world.pool.run(aTask({ name: "short" }));

    expect(world.pool.accepts(aTask({ name: "short", headers: { "x-job-timeout": ["5"] } }).job)).toBe(false);
  });

  test("nothing is put behind a job that runs longer than the window", async () => {
    const world = await aTrustedPool();
    world.pool.run(aTask({ name: "short" }));

    world.clock.advance(PIPELINING.windowMs + 1);

    expect(world.pool.accepts(aTask({ name: "short" }).job)).toBe(false);
  });

  test("two outliers make a class run one at a time for a while", async () => {
    const world = await aTrustedPool();
    for (let n = 0; n < 2; n++) {
      world.pool.run(aTask({ name: "short" }));
      passFence(world.launcher.last);
      world.clock.advance(30);
      world.launcher.last.answer();
      world.launcher.last.listener.received();
    }

    expect(fill(world)).toHaveLength(1);
  });

  test("a worker that sent an error frame gets one job at a time from then on", async () => {
    const world = await aTrustedPool();
    const task = aTask({ name: "short" });
    world.pool.run(task);
    passFence(world.launcher.last);
    world.launcher.last.error("boom");
    world.launcher.last.listener.received();

    expect(outcomes([task])).toEqual([["error"]]);
    expect(fill(world)).toHaveLength(1);
  });

  test("a job that holds up others is reported once", async () => {
    const world = await aTrustedPool();
    fill(world);
    passFence(world.launcher.last);

    world.clock.advance(5000);

    expect(world.log.messages("warn")).toEqual([
      "a job takes much longer than others of its name, jobs wait behind it in the same worker",
    ]);
  });
});

describe("when a worker fails with several jobs", () => {
  test("the one it had begun with has failed, the others have not started", async () => {
    const world = await aTrustedPool();
    const tasks = fill(world);
    execute(world.launcher.last);
    passFence(world.launcher.last);

    world.launcher.last.die({ code: 3 });

    expect(outcomes(tasks)).toEqual([["ack"], ["crash"], ["not_started"], ["not_started"]]);
  });

  test("none has started if the next fence was not answered", async () => {
    const world = await aTrustedPool();
    const tasks = fill(world);
    execute(world.launcher.last);

    world.launcher.last.die({ code: 3 });

    expect(outcomes(tasks)).toEqual([["ack"], ["not_started"], ["not_started"], ["not_started"]]);
  });

  test("a second answer is dropped, told with its job, and the jobs behind it are answered as ever", async () => {
    const world = await aTrustedPool();
    const tasks = fill(world);
    const link = world.launcher.last;
    execute(link);

    link.answer('{"type":3,"data":{"message":"this is for nobody"}}');
    for (let n = 0; n < 3; n++) execute(link);

    expect(outcomes(tasks)).toEqual([["ack"], ["ack"], ["ack"], ["ack"]]);
    const [report] = world.log.records.filter(({ level }) => level === "warn");
    expect(report).toMatchObject({ fields: { jobId: tasks[0]?.job.id } });
    expect(link.killed).toBe(true);
    expect(world.launcher.links).toHaveLength(2);
  });

  test("a worker that asks to be replaced starts nothing more; what it had read already counts", async () => {
    const world = await aTrustedPool();
    const tasks = fill(world);
    const link = world.launcher.last;
    passFence(link);

    link.answer("", '{"stop":true}');
    execute(link);
    link.die({ code: 0 });

    expect(outcomes(tasks)).toEqual([["not_started"], ["ack"], ["not_started"], ["not_started"]]);
  });

  test("each job has its own time: it starts when the one before has ended", async () => {
    const world = await aTrustedPool({ execTtlMs: 1000 });
    const tasks = fill(world);
    passFence(world.launcher.last);
    world.clock.advance(900);
    world.launcher.last.answer();
    world.launcher.last.listener.received();
    passFence(world.launcher.last);

    world.clock.advance(900);
    await new Promise((resolve) => setImmediate(resolve));
    expect(outcomes(tasks)[1]).toEqual([]);
    world.clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));

    expect(outcomes(tasks)).toEqual([["ack"], ["timeout"], ["not_started"], ["not_started"]]);
  });

  test("abort gives all of them back", async () => {
    const world = await aTrustedPool();
    const tasks = fill(world);
    passFence(world.launcher.last);

    world.pool.abort();

    expect(tasks.map(({ results }) => results)).toEqual(tasks.map(() => [{ t: "not_started", reason: "shutdown" }]));
  });
});

describe("without fences", () => {
  test("the first job without an answer counts as begun, the others do not", async () => {
    const world = await aStartedPool({ pipelining: { ...PIPELINING, fence: false } });
    for (let n = 0; n < 10; n++) {
      world.pool.run(aTask({ name: "short" }));
      world.launcher.last.answer();
      world.launcher.last.listener.received();
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const tasks = fill(world);

    world.launcher.last.die({ code: 1 });

    expect(outcomes(tasks)).toEqual([["crash"], ["not_started"], ["not_started"], ["not_started"]]);
  });
});

describe("what several jobs in one worker save", () => {
  const JOBS = 800;

  /** Writes to the worker for so many no-op jobs, which the worker answers one by one, and the order of their results. */
  async function run(
    world: PoolWorld,
    answer: (link: FakeLink) => void,
  ): Promise<{ readonly writes: number; readonly inOrder: boolean }> {
    const link = world.launcher.last;
    const { sent } = link.relay;
    const before = sent.length;
    const given: RecordedTask[] = [];
    let inOrder = true;
    for (let done = 0; done < JOBS; done++) {
      given.push(...fill(world));
      // What was queued leaves at the end of the step.
      await turns();
      answer(link);
      await turns();
      inOrder &&= given[done]?.results.length === 1 && given[done + 1]?.results.length !== 1;
    }
    return { writes: sent.length - before, inOrder };
  }

  test("[JC-64] at depth 8 a worker is woken less than a third as often as at depth 1, and the order stays", async () => {
    const deep = await run(await aTrustedPool({ pipelining: { ...PIPELINING, maxDepth: 8 } }), execute);
    const single = await run(await aStartedPool({ pipelining: { maxDepth: 1, windowMs: 2, fence: false } }), (link) => {
      link.answer();
      link.listener.received();
    });

    expect(deep.inOrder).toBe(true);
    expect(single.inOrder).toBe(true);
    expect(single.writes).toBe(JOBS);
    expect(deep.writes).toBeLessThan(JOBS / 3);
  });
});
