import { JobsError } from "../../domain/errors.ts";
import type { Scenario } from "../scenario.ts";
import { withoutBroker } from "../scenario.ts";
import { rejection } from "../waiting.ts";
import type { Stage } from "../stage.ts";

/** From the factory to close. */
export const lifeScenarios: readonly Scenario[] = [
  {
    key: "life-names",
    title: "is of its kind, and names the place in the broker",
    async run(stage: Stage): Promise<void> {
      const factory = await stage.factory();
      const { driver } = await stage.open({ consume: false });

      stage.expect([factory.kind, driver.kind]).toEqual([stage.kind, stage.kind]);
      stage.expect(driver.queue === "").toBe(false);
    },
  },
  {
    key: "life-capabilities",
    title: "has the capabilities its flags say",
    async run(stage: Stage): Promise<void> {
      const { driver } = await stage.open({ consume: false });
      const { storage, nativeDeadLetter, retryKeepsHeaders, nack, prefetch } = driver.capabilities;

      stage.expect({ storage, retryKeepsHeaders, nack }).toEqual({
        storage: stage.flags.storage,
        retryKeepsHeaders: stage.flags.retryKeepsHeaders,
        nack: stage.flags.nack,
      });
      // Some brokers have a place for dead letters only where one was set up.
      if (!stage.flags.nativeDeadLetter) stage.expect(nativeDeadLetter).toBe(false);
      stage.expect(Number.isInteger(prefetch) ? prefetch : 0).toBeGreaterThanOrEqual(1);
    },
  },
  {
    key: "life-options-as-text",
    title: "reads the same options from YAML and from the texts of Declare",
    async run(stage: Stage): Promise<void> {
      const yaml = await stage.open({ consume: false });
      const texts: Record<string, string> = {};
      for (const [name, value] of Object.entries(stage.place.options)) {
        texts[name] = typeof value === "string" ? value : JSON.stringify(value);
      }

      const declared = await stage.open({ options: texts });

      stage.expect(declared.driver.queue).toBe(yaml.driver.queue);
      stage.expect(declared.driver.capabilities).toEqual(yaml.driver.capabilities);
      await declared.driver.push(stage.job({ id: "a" }));
      const { job } = await declared.inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("a");
    },
  },
  {
    key: "life-link",
    title: "tells that its link is ready while it delivers, and closed at the end",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job());
      await stand.inbox.next(stage.patienceMs);
      stage.expect(stand.driver.link.t).toBe("ready");

      await stage.close(stand);

      stage.expect(stand.driver.link.t).toBe("closed");
    },
  },
  {
    key: "life-close-twice",
    title: "can be closed twice, and without ever having consumed",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open({ consume: false });

      await stage.close(stand);
      await stage.close(stand);
    },
  },
  {
    key: "life-push-after-close",
    title: "refuses jobs after it was closed, one by one",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stage.close(stand);

      const error = await rejection("push after close", stage.patienceMs, () => stand.driver.push(stage.job()));
      const failures = await stand.driver.pushBatch(stage.jobs(3));

      stage.expect(JobsError.is(error)).toBe(true);
      stage.expect(failures.map(({ index }) => index)).toEqual([0, 1, 2]);
      stage.expect(failures.every((failure) => JobsError.is(failure.error))).toBe(true);
    },
  },
  {
    key: "life-nothing-after-close",
    title: "delivers nothing after it was closed",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.open();
      const second = await stage.open({ consume: false });
      await stage.close(first);

      await second.driver.push(stage.job());

      await first.inbox.quiet(700);
    },
  },
  {
    key: "life-reopen",
    title: "takes up the same place again after it was closed, many times",
    limitMs: 120_000,
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      for (let round = 0; round < 3; round++) {
        const stand = await stage.open();
        const jobs = stage.jobs(5);
        await stand.driver.pushBatch(jobs);
        await stage.drain(
          stand.inbox,
          jobs.map(({ id }) => id),
        );
        await stage.close(stand);
      }
    },
  },
];
