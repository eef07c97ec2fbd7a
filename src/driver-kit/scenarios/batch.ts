import { ACK } from "../../domain/delivery.ts";
import { type Scenario, withoutOrder } from "../scenario.ts";
import type { Stage } from "../stage.ts";

/** Many jobs at once. */
export const batchScenarios: readonly Scenario[] = [
  {
    key: "batch-1000",
    title: "stores a batch of 1,000 jobs, each once",
    limitMs: 120_000,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const jobs = stage.jobs(1000);

      const failures = await driver.pushBatch(jobs);

      stage.expect(failures).toEqual([]);
      const received = await inbox.acknowledge(jobs.length, stage.patienceMs);
      stage.expect([...received].sort()).toEqual(jobs.map(({ id }) => id).sort());
      await inbox.quiet(300);
    },
  },
  {
    key: "batch-order",
    title: "stores the jobs of a batch in its order",
    unless: withoutOrder,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const jobs = stage.jobs(100);

      await driver.push(stage.job({ id: "first" }));
      await driver.pushBatch(jobs);
      await driver.push(stage.job({ id: "last" }));

      const received = await inbox.acknowledge(102, stage.patienceMs);
      stage.expect(received).toEqual(["first", ...jobs.map(({ id }) => id), "last"]);
    },
  },
  {
    key: "batch-one-bad",
    title: "stores all jobs of a batch of 1,000 but the one that can not be stored, and names that one",
    limitMs: 120_000,
    unless: ({ refusedPayloadBytes }) => (refusedPayloadBytes === undefined ? "it refuses no payload" : undefined),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const bad = stage.job({ id: "bad", payload: new Uint8Array(stage.flags.refusedPayloadBytes ?? 0) });
      const good = stage.jobs(999);

      const failures = await driver.pushBatch([...good.slice(0, 499), bad, ...good.slice(499)]);

      stage
        .expect(failures.map(({ index, unknown }) => ({ index, unknown })))
        .toEqual([{ index: 499, unknown: false }]);
      const received = await inbox.acknowledge(good.length, stage.patienceMs);
      stage.expect([...received].sort()).toEqual(good.map(({ id }) => id).sort());
    },
  },
  {
    key: "batch-empty",
    title: "takes an empty batch",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      stage.expect(await driver.pushBatch([])).toEqual([]);

      await inbox.quiet(100);
    },
  },
  {
    key: "batch-concurrent",
    title: "mixes up no jobs of batches and single pushes that run at once",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 350 });
      const batches = [stage.jobs(100), stage.jobs(100), stage.jobs(100)];
      const single = stage.jobs(50);

      await Promise.all([...batches.map((batch) => driver.pushBatch(batch)), ...single.map((job) => driver.push(job))]);

      const all = [...batches.flat(), ...single];
      const payloads = new Map(all.map((job) => [job.id, Buffer.from(job.payload).toString()]));
      for (const next of await inbox.take(all.length, stage.patienceMs)) {
        stage.expect(Buffer.from(next.job.payload).toString()).toBe(payloads.get(next.job.id));
        payloads.delete(next.job.id);
        await next.settle(ACK);
      }
      stage.expect([...payloads.keys()]).toEqual([]);
    },
  },
  {
    key: "batch-delays",
    title: "keeps the delay of each job of a batch",
    unless: ({ delay }) => (delay === false ? "it has no delays" : undefined),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      await driver.pushBatch([stage.job({ id: "late", delaySec: 2 }), stage.job({ id: "now" })]);

      const both = await inbox.take(2, stage.patienceMs);
      stage.expect(both.map(({ job }) => job.id)).toEqual(["now", "late"]);
    },
  },
];
