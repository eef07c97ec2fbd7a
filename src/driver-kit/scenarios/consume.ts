import { ACK } from "../../domain/delivery.ts";
import { anyOf, type Scenario, withoutBroker } from "../scenario.ts";
import { pause } from "../waiting.ts";
import type { Stage } from "../stage.ts";

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** Fetching: resume, pause, credit. */
export const consumeScenarios: readonly Scenario[] = [
  {
    key: "consume-resume-twice",
    title: "delivers each job once although it was resumed twice",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.resume(signal());
      const jobs = stage.jobs(20);

      for (const job of jobs) await driver.push(job);

      const received = await inbox.take(20, stage.patienceMs);
      stage.expect(received.map(({ job }) => job.id).sort()).toEqual(jobs.map(({ id }) => id).sort());
      await inbox.quiet(300);
    },
  },
  {
    key: "consume-pause",
    title: "delivers nothing after it was paused, and goes on when it is resumed",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "before" }));
      await (await inbox.next(stage.patienceMs)).settle(ACK);

      await driver.pause(signal());
      await driver.push(stage.job({ id: "meanwhile" }));
      await inbox.quiet(700);
      await driver.resume(signal());

      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("meanwhile");
    },
  },
  {
    key: "consume-pause-settle",
    title: "settles what it had delivered before it was paused",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "a" }));
      await driver.push(stage.job({ id: "b" }));
      const both = await inbox.take(2, stage.patienceMs);

      await driver.pause(signal());
      for (const received of both) await received.settle(ACK);
      await driver.resume(signal());

      await driver.push(stage.job({ id: "c" }));
      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("c");
    },
  },
  {
    key: "consume-pause-twice",
    title: "can be paused twice, and before it ever consumed",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ consume: false });

      await driver.pause(signal());
      await driver.pause(signal());
      await driver.resume(signal());
      await driver.pause(signal());
      await driver.pause(signal());
      await driver.resume(signal());

      await driver.push(stage.job({ id: "a" }));
      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("a");
    },
  },
  {
    key: "consume-pause-race",
    title: "ends in the state that was asked for last, however fast pause and resume follow each other",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      // One after the other, as the core does for one pipeline, without a breath between.
      for (let round = 0; round < 5; round++) {
        await driver.pause(signal());
        await driver.resume(signal());
      }

      const jobs = stage.jobs(10);
      for (const job of jobs) await driver.push(job);
      const duplicates = await stage.drain(
        inbox,
        jobs.map(({ id }) => id),
      );
      stage.expect(duplicates).toBe(0);
    },
  },
  {
    key: "consume-credit",
    title: "never delivers more than there is credit for, and goes on when there is some again",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 3 });
      await driver.pushBatch(stage.jobs(10));

      const first = await inbox.take(3, stage.patienceMs);
      await inbox.quiet(500);
      for (const received of first) await received.settle(ACK);

      for (let count = 0; count < 7; count++) await (await inbox.next(stage.patienceMs)).settle(ACK);
      stage.expect(inbox.overruns).toBe(0);
    },
  },
  {
    key: "consume-no-credit",
    title: "fetches nothing without credit, and at once when it gets some",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 0 });
      await driver.pushBatch(stage.jobs(5));
      await inbox.quiet(500);

      inbox.grant(5);

      await inbox.take(5, stage.patienceMs);
      stage.expect(inbox.overruns).toBe(0);
    },
  },
  {
    key: "consume-credit-shrinks",
    title: "respects credit that became smaller",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 8 });
      await driver.pushBatch(stage.jobs(20));
      const first = await inbox.take(8, stage.patienceMs);

      inbox.grant(2);
      for (const received of first) await received.settle(ACK);

      await inbox.take(2, stage.patienceMs);
      await inbox.quiet(500);
      stage.expect(inbox.overruns).toBe(0);
    },
  },
  {
    key: "consume-large-backlog",
    title: "works off 2,000 waiting jobs with a credit of 50",
    limitMs: 180_000,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 50, consume: false });
      const jobs = stage.jobs(2000);
      for (let start = 0; start < jobs.length; start += 500) {
        stage.expect(await driver.pushBatch(jobs.slice(start, start + 500))).toEqual([]);
      }

      await driver.resume(signal());

      const duplicates = await stage.drain(
        inbox,
        jobs.map(({ id }) => id),
      );
      stage.expect(duplicates).toBe(0);
    },
  },
  {
    key: "consume-wake-idle",
    title: "can be told of credit at any time",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ consume: false });

      driver.creditAvailable();
      await driver.resume(signal());
      driver.creditAvailable();
      driver.creditAvailable();
      await driver.push(stage.job({ id: "a" }));

      const received = await inbox.next(stage.patienceMs);
      stage.expect(received.job.id).toBe("a");
      await received.settle(ACK);
      await driver.pause(signal());
      driver.creditAvailable();
      await inbox.quiet(200);
    },
  },
  {
    key: "consume-shared",
    title: "shares the jobs of one queue with another daemon, none is delivered to both",
    limitMs: 120_000,
    unless: anyOf(withoutBroker, ({ sharesJobs }) => (sharesJobs ? undefined : "its queues have one consumer each")),
    async run(stage: Stage): Promise<void> {
      const [left, right] = [await stage.open({ limit: 5 }), await stage.open({ limit: 5 })];
      const missing = new Map(stage.jobs(200).map((job) => [job.id, job]));
      const ids = [...missing.keys()];

      await left.driver.pushBatch([...missing.values()]);

      const seen: string[] = [];
      const work = async (inbox: typeof left.inbox): Promise<void> => {
        while (missing.size > 0) {
          const next = await inbox.next(500).catch(() => undefined);
          if (next === undefined) continue;
          seen.push(next.job.id);
          missing.delete(next.job.id);
          await next.settle(ACK);
        }
      };
      await Promise.all([work(left.inbox), work(right.inbox)]);
      await pause(300);
      stage.expect(seen.sort()).toEqual(ids.sort());
    },
  },
];
