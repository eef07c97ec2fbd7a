import { ACKED } from "../../domain/job-result.ts";
import { type Scenario, withoutBroker } from "../scenario.ts";
import { pause } from "../waiting.ts";
import type { Stage } from "../stage.ts";

/** The daemon stops: nothing is lost, nothing runs twice. */
export const drainScenarios: readonly Scenario[] = [
  {
    key: "drain-two-phases",
    title:
      "returns what has not started in order, and settles what runs, before it closes; a second daemon runs the rest",
    limitMs: 180_000,
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.daemon({ workers: 10, policy: { fetchAhead: 500 }, worker: () => undefined });
      const jobs = stage.jobs(510);
      await first.pushBatch.execute(jobs);
      const running = [...(await first.ran(10, stage.patienceMs))];
      // More than the ten are held by now, however many the driver has fetched.
      await pause(500);

      const stopped = first.stop(20_000);
      await pause(300);
      for (const run of running) run.answer(ACKED);
      await stopped;
      stage.expect(first.runs.length).toBe(10);

      const second = await stage.daemon({ workers: 1 });
      const done = new Set(running.map(({ id }) => id));
      const rest = jobs.map(({ id }) => id).filter((id) => !done.has(id));
      await second.ran(rest.length, stage.redeliveryMs + 60_000);
      await pause(700);
      const ran = second.runs.map(({ id }) => id);
      const inOrder = stage.flags.ordered && stage.flags.releaseKeepsOrder;
      stage.expect(inOrder ? ran : [...ran].sort()).toEqual(inOrder ? rest : [...rest].sort());
    },
  },
  {
    key: "drain-grace",
    title: "returns a job that runs longer than the grace period, with no attempt counted",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.daemon({ workers: 1, worker: () => undefined });
      await first.push.execute(stage.job({ id: "long" }));
      await first.ran(1, stage.patienceMs);

      await first.stop(500);

      const second = await stage.daemon({ workers: 1 });
      const [run] = await second.ran(1, stage.redeliveryMs, "long");
      stage.expect(run?.attempt).toBe(undefined);
    },
  },
  {
    key: "drain-push",
    title: "takes a job that a finishing worker pushes while the daemon stops",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.daemon({ workers: 1, worker: () => undefined });
      await first.push.execute(stage.job({ id: "parent" }));
      const [run] = await first.ran(1, stage.patienceMs);

      const stopped = first.stop(20_000);
      await pause(200);
      await first.push.execute(stage.job({ id: "child" }));
      run?.answer(ACKED);
      await stopped;

      const second = await stage.daemon({ workers: 1 });
      await second.ran(1, stage.redeliveryMs, "child");
      stage.expect(second.runs.map(({ id }) => id)).toEqual(["child"]);
    },
  },
  {
    key: "drain-idle",
    title: "stops at once when nothing runs",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon();
      const startedAtMs = performance.now();

      await daemon.stop(20_000);

      stage.expect(performance.now() - startedAtMs).toBeLessThanOrEqual(15_000);
    },
  },
];
