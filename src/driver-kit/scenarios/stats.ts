import { ACK } from "../../domain/delivery.ts";
import type { DriverStats } from "../../domain/ports/driver.ts";
import { anyOf, type Scenario, withoutBroker, withoutDelay } from "../scenario.ts";
import type { Stage, Stand } from "../stage.ts";
import { until } from "../waiting.ts";

function statsOf({ driver }: Stand): Promise<DriverStats> {
  return driver.stats(AbortSignal.timeout(10_000));
}

/** Brokers report approximately and late, so the number only has to be reached. */
async function expectCount(stage: Stage, stand: Stand, name: keyof DriverStats, count: number): Promise<void> {
  let last: number | undefined;
  const what = (): string => `${name} to become ${count}, it is ${last ?? "unknown"}`;
  const reached = until(name, stage.patienceMs, async () => {
    last = (await statsOf(stand))[name];
    return last === count;
  });
  await reached.catch((error: unknown) => {
    throw new Error(`waited for ${what()}`, { cause: error });
  });
}

const withoutActive = anyOf(withoutBroker, ({ stats }) => (stats.active ? undefined : "it can not count waiting jobs"));

/** What Stat shows. */
export const statsScenarios: readonly Scenario[] = [
  {
    key: "stats-active",
    title: "counts the jobs that wait",
    unless: withoutActive,
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open({ consume: false });

      await stand.driver.pushBatch(stage.jobs(7));

      await expectCount(stage, stand, "active", 7);
    },
  },
  {
    key: "stats-delayed",
    title: "counts the jobs that are not due yet",
    unless: anyOf(withoutDelay, ({ stats }) => (stats.delayed ? undefined : "it can not count delayed jobs")),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();

      await stand.driver.pushBatch(stage.jobs(3, { delaySec: 600 }));

      await expectCount(stage, stand, "delayed", 3);
    },
  },
  {
    key: "stats-reserved",
    title: "counts the jobs that are delivered and not settled",
    unless: anyOf(withoutBroker, ({ stats }) => (stats.reserved ? undefined : "it can not count delivered jobs")),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open({ limit: 2 });
      await stand.driver.pushBatch(stage.jobs(2));

      const both = await stand.inbox.take(2, stage.patienceMs);
      await expectCount(stage, stand, "reserved", 2);
      for (const received of both) await received.settle(ACK);

      await expectCount(stage, stand, "reserved", 0);
    },
  },
  {
    key: "stats-empty",
    title: "counts nothing when all jobs are done, and never below zero",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.pushBatch(stage.jobs(10));
      for (const received of await stand.inbox.take(10, stage.patienceMs)) await received.settle(ACK);

      for (const name of ["active", "delayed", "reserved"] as const) {
        const { [name]: count } = await statsOf(stand);
        if (count === undefined) continue;
        stage.expect(count).toBeGreaterThanOrEqual(0);
        await expectCount(stage, stand, name, 0);
      }
    },
  },
  {
    key: "stats-paused",
    title: "counts while it is paused as well",
    unless: withoutActive,
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.pause(AbortSignal.timeout(20_000));

      await stand.driver.pushBatch(stage.jobs(4));

      await expectCount(stage, stand, "active", 4);
    },
  },
];
