import { ACK } from "../../domain/delivery.ts";
import { JobsError } from "../../domain/errors.ts";
import { anyOf, type Scenario, withoutBroker, withoutFault } from "../scenario.ts";
import { bounded, rejection, until } from "../waiting.ts";
import type { Stage } from "../stage.ts";

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** Bound of a call whose own limit is 2 s, on a busy machine. */
const BOUND_MS = 20_000;

const withoutRestart = withoutFault("restartBroker");
const withoutKill = withoutFault("killBroker");

/** A broker that is away, silent, restarted, or has lost the queue. */
export const outageScenarios: readonly Scenario[] = [
  {
    key: "outage-at-start",
    title: "is built while its broker is away, refuses pushes in time, and consumes as soon as it is there",
    limitMs: 120_000,
    unless: withoutFault("refuse"),
    async run(stage: Stage): Promise<void> {
      await stage.fault("refuse")();
      const { driver, inbox } = await stage.open({ consume: false, timeoutMs: 2000 });

      const resumed = await rejection("resume", BOUND_MS, () => driver.resume(AbortSignal.timeout(2000)));
      const pushed = await rejection("push", BOUND_MS, () => driver.push(stage.job()));
      stage.expect([resumed, pushed].map((error) => JobsError.is(error) && error.retryable)).toEqual([true, true]);
      await stage.fault("heal")();

      await stage.pushAgainAndAgain(driver, stage.job({ id: "a" }));
      await stage.drain(inbox, ["a"]);
    },
  },
  {
    key: "outage-link",
    title: "tells that its link is not ready while its broker is away",
    unless: anyOf(withoutFault("refuse"), ({ linkFollowsConnection }) =>
      linkFollowsConnection ? undefined : "it has no connection that could be lost",
    ),
    async run(stage: Stage): Promise<void> {
      const { driver } = await stage.open();
      await until("the link to be ready", stage.patienceMs, () => driver.link.t === "ready");

      await stage.fault("refuse")();
      await until("the link to be down", stage.redeliveryMs, () => driver.link.t !== "ready");
      stage.expect(["connecting", "degraded"]).toContain(driver.link.t);
      await stage.fault("heal")();

      await until("the link to be ready again", stage.redeliveryMs, () => driver.link.t === "ready");
    },
  },
  {
    key: "outage-close",
    title: "closes in time while its broker is away",
    unless: withoutFault("refuse"),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stage.fault("refuse")();

      await bounded("pause", BOUND_MS, () => stand.driver.pause(AbortSignal.timeout(2000)).catch(() => undefined));
      await stage.close(stand);
    },
  },
  {
    key: "outage-stall-push",
    title: "gives up a push in time when its broker is silent, and says that it may be tried again",
    unless: withoutFault("stall"),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ timeoutMs: 2000 });
      await stage.pushAgainAndAgain(driver, stage.job({ id: "before" }));
      await stage.drain(inbox, ["before"]);

      await stage.fault("stall")();
      const error = await rejection("push", BOUND_MS, () => driver.push(stage.job()));
      const failures = await bounded("batch", BOUND_MS, () => Promise.resolve(driver.pushBatch(stage.jobs(5))));
      await stage.fault("heal")();

      stage.expect(JobsError.is(error) && error.retryable).toBe(true);
      stage.expect(failures.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4]);
      await stage.pushAgainAndAgain(driver, stage.job({ id: "after" }));
      await stage.drain(inbox, ["after"]);
    },
  },
  {
    key: "outage-stall-settle",
    title: "gives up a settlement in time when its broker is silent, and loses nothing",
    unless: anyOf(withoutBroker, withoutFault("stall")),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ timeoutMs: 2000 });
      await stage.pushAgainAndAgain(driver, stage.job({ id: "a" }));
      const first = await inbox.next(stage.patienceMs);

      await stage.fault("stall")();
      const { headers } = first.job;
      const settled = first.settle({ t: "retry", headers, delayMs: 0 });
      await bounded("settlement", BOUND_MS, () => settled.catch(() => undefined));
      first.forget();
      await stage.fault("cut")();
      await stage.fault("heal")();

      await stage.drain(inbox, ["a"]);
    },
  },
  {
    key: "outage-stall-calls",
    title: "lets no call wait for ever when its broker is silent",
    unless: withoutFault("stall"),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open({ timeoutMs: 2000 });
      await stage.pushAgainAndAgain(stand.driver, stage.job());
      await stage.fault("stall")();

      const { driver } = stand;
      await bounded("stats", BOUND_MS, () => driver.stats(AbortSignal.timeout(2000)).catch(() => undefined));
      await bounded("pause", BOUND_MS, () => driver.pause(AbortSignal.timeout(2000)).catch(() => undefined));
      await bounded("resume", BOUND_MS, () => driver.resume(AbortSignal.timeout(2000)).catch(() => undefined));
      await stage.close(stand);
    },
  },
  {
    key: "outage-restart",
    title: "loses no job when its broker is restarted, and goes on",
    limitMs: 240_000,
    unless: anyOf(withoutBroker, withoutRestart),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 10 });
      const jobs = stage.jobs(40);
      stage.expect(await driver.pushBatch(jobs)).toEqual([]);
      const held = await inbox.take(10, stage.patienceMs);
      await held[0]?.settle(ACK);

      await stage.fault("restartBroker")();

      for (const received of held.slice(1)) {
        await received.settle(ACK).catch(() => {
          received.forget();
        });
      }
      // What could be settled is done; what could not comes again.
      const seen = new Set(held.map(({ job }) => job.id));
      const last = stage.job();
      await stage.pushAgainAndAgain(driver, last);
      await stage.drain(inbox, [...jobs.map(({ id }) => id).filter((id) => !seen.has(id)), last.id]);
    },
  },
  {
    key: "outage-kill",
    title: "loses no stored job when its broker is killed, and goes on",
    limitMs: 240_000,
    unless: anyOf(withoutBroker, withoutKill),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ consume: false });
      const jobs = stage.jobs(40);
      stage.expect(await driver.pushBatch(jobs)).toEqual([]);

      await stage.fault("killBroker")();
      await until("resume", 2 * stage.redeliveryMs, async () => {
        try {
          await driver.resume(signal());
          return true;
        } catch {
          return false;
        }
      });

      const last = stage.job();
      await stage.pushAgainAndAgain(driver, last);
      await stage.drain(inbox, [...jobs.map(({ id }) => id), last.id]);
    },
  },
  {
    key: "outage-kill-delayed",
    title: "keeps delayed jobs when its broker is killed",
    limitMs: 240_000,
    unless: anyOf(withoutBroker, withoutKill, ({ delay }) => (delay === false ? "it has no delays" : undefined)),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const jobs = stage.jobs(10, { delaySec: 5 });
      stage.expect(await driver.pushBatch(jobs)).toEqual([]);

      await stage.fault("killBroker")();

      await stage.drain(
        inbox,
        jobs.map(({ id }) => id),
      );
    },
  },
  {
    key: "outage-queue-deleted",
    title: "goes on with a new queue when its own was deleted behind its back",
    limitMs: 120_000,
    unless: anyOf(withoutBroker, withoutFault("deleteQueue")),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "before" }));
      await stage.drain(inbox, ["before"]);

      await stage.fault("deleteQueue")();

      // What is pushed before the loss was noticed may go where nobody consumes: a producer would see it missing.
      const arrived = (): boolean => inbox.received.some(({ job }) => job.id.startsWith("after"));
      await until("a job to arrive", 2 * stage.redeliveryMs, async () => {
        await stage.pushAgainAndAgain(driver, stage.job({ id: `after-${performance.now()}` }));
        return arrived();
      });
      stage.expect(arrived()).toBe(true);
    },
  },
];
