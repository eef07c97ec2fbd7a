import { ACK } from "../../domain/delivery.ts";
import { anyOf, type Scenario, withoutBroker, withoutDelay } from "../scenario.ts";
import type { Stage } from "../stage.ts";
import { rejection } from "../waiting.ts";
import { JobsError } from "../../domain/errors.ts";

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** @throws it came too early or too late, as the flags say */
function expectDue(stage: Stage, atMs: number, fromMs: number, toMs: number, delaySec: number): void {
  const precision = stage.flags.delay === false ? { earlyMs: 0, lateMs: 0 } : stage.flags.delay;
  stage.expect(atMs - fromMs).toBeGreaterThanOrEqual(delaySec * 1000 - precision.earlyMs);
  stage.expect(atMs - toMs).toBeLessThanOrEqual(delaySec * 1000 + precision.lateMs);
}

/** Jobs that are not due yet. */
export const delayScenarios: readonly Scenario[] = [
  {
    key: "delay-precision",
    title: "delivers a delayed job neither early nor much too late",
    unless: withoutDelay,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const fromMs = performance.now();
      await driver.push(stage.job({ delaySec: 2 }));
      const toMs = performance.now();

      const { atMs } = await inbox.next(stage.patienceMs);

      expectDue(stage, atMs, fromMs, toMs, 2);
    },
  },
  {
    key: "delay-order",
    title: "delivers delayed jobs in the order in which they are due",
    unless: withoutDelay,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      for (const delaySec of [5, 1, 3]) await driver.push(stage.job({ id: `in-${delaySec}`, delaySec }));
      await driver.push(stage.job({ id: "now" }));

      const received = await inbox.take(4, stage.patienceMs);
      stage.expect(received.map(({ job }) => job.id)).toEqual(["now", "in-1", "in-3", "in-5"]);
    },
  },
  {
    key: "delay-does-not-block",
    title: "delivers jobs without delay while many with a delay wait",
    unless: withoutDelay,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 5 });
      stage.expect(await driver.pushBatch(stage.jobs(50, { delaySec: 600 }))).toEqual([]);

      await driver.push(stage.job({ id: "now" }));

      const { job } = await inbox.next(stage.patienceMs);
      stage.expect(job.id).toBe("now");
    },
  },
  {
    key: "delay-paused",
    title: "lets delays pass while it is paused",
    unless: anyOf(withoutDelay, withoutBroker),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.pause(signal());
      await driver.push(stage.job({ id: "due", delaySec: 1 }));
      await inbox.quiet(2500);

      const resumedAtMs = performance.now();
      await driver.resume(signal());

      const { job, atMs } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("due");
      stage.expect(atMs).toBeGreaterThanOrEqual(resumedAtMs);
    },
  },
  {
    key: "delay-durable",
    title: "keeps a delayed job, and its delay, when the daemon that pushed it is gone",
    unless: anyOf(withoutDelay, withoutBroker),
    async run(stage: Stage): Promise<void> {
      const first = await stage.open({ consume: false });
      const fromMs = performance.now();
      await first.driver.push(stage.job({ id: "kept", delaySec: 3 }));
      await stage.close(first);

      const { inbox } = await stage.open();

      const { job, atMs } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("kept");
      const { earlyMs } = stage.flags.delay === false ? { earlyMs: 0 } : stage.flags.delay;
      stage.expect(atMs - fromMs).toBeGreaterThanOrEqual(3000 - earlyMs);
    },
  },
  {
    key: "delay-once",
    title: "delivers a delayed job once",
    unless: withoutDelay,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      await driver.push(stage.job({ delaySec: 1 }));

      await (await inbox.next(stage.patienceMs)).settle(ACK);
      await inbox.quiet(2500);
    },
  },
  {
    key: "delay-refused",
    title: "refuses a job with a delay it can not keep",
    unless: ({ delay }) => (delay === false ? undefined : "it has delays"),
    async run(stage: Stage): Promise<void> {
      const { driver } = await stage.open();

      const error = await rejection("push with a delay", stage.patienceMs, () =>
        driver.push(stage.job({ delaySec: 5 })),
      );

      stage.expect(JobsError.is(error) && !error.retryable).toBe(true);
    },
  },
];
