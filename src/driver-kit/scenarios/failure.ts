import { headerValue } from "../../domain/job-headers.ts";
import { ACKED } from "../../domain/job-result.ts";
import type { KitDaemon } from "../kit-daemon.ts";
import type { Scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";
import { pause, until } from "../waiting.ts";

const CRASH = { t: "failed", reason: "crash", message: "exit code 3" } as const;

/** Waits until the job is where given-up jobs are kept: the broker's own place, or the failed store. */
async function expectGivenUp(stage: Stage, daemon: KitDaemon, reason: string, payload: string): Promise<void> {
  if (!stage.flags.nativeDeadLetter || reason === "auto_ack") {
    await until("the dead letter", stage.patienceMs, () => daemon.store.entries.length > 0);
    stage.expect(daemon.store.entries.map((entry) => entry.reason)).toEqual([reason]);
    stage.expect(Buffer.from(daemon.store.entries[0]?.job.payload ?? []).toString()).toBe(payload);
    return;
  }
  await until("the broker's dead letter", stage.patienceMs, async () => {
    const dead = await stage.broker("deadLetters")();
    return dead.some((body) => Buffer.from(body).includes(payload));
  });
}

/** Executions that end without a verdict of the worker. */
export const failureScenarios: readonly Scenario[] = [
  {
    key: "failure-attempts",
    title: "runs a job whose worker always crashes five times, each after a longer wait, and then gives it up",
    wishes: { deadLetters: true },
    limitMs: 180_000,
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 1, worker: () => CRASH });

      await daemon.push.execute(stage.job({ id: "a", payload: Buffer.from("always crashes") }));

      const runs = await daemon.ran(5, 4 * stage.redeliveryMs);
      await expectGivenUp(stage, daemon, "attempts", "always crashes");
      const early = stage.flags.delay === false ? 0 : stage.flags.delay.earlyMs;
      for (const [index, waitMs] of [1000, 2000, 4000, 8000].entries()) {
        const waited = (runs[index + 1]?.atMs ?? 0) - (runs[index]?.atMs ?? 0);
        // The jitter of the back-off is a tenth.
        stage.expect(waited).toBeGreaterThanOrEqual(waitMs * 0.9 - early);
      }
      // Where the broker can not carry the count, the core does.
      stage.expect(runs.map(({ attempt }) => attempt)).toEqual([undefined, "1", "2", "3", "4"]);
      if (daemon.store.entries.length > 0) stage.expect(daemon.store.entries[0]?.attempts).toBe(5);
      await pause(500);
      stage.expect(daemon.runs.length).toBe(5);
    },
  },
  {
    key: "failure-recovers",
    title: "acknowledges a job that crashes twice and then succeeds, and starts to count anew when it is requeued",
    limitMs: 120_000,
    async run(stage: Stage): Promise<void> {
      const policy = { backoff: { initialMs: 300, factor: 1, maxMs: 300, jitter: 0 }, maxAttempts: 4 };
      const daemon = await stage.daemon({
        workers: 1,
        policy,
        worker: ({ nth }) => {
          if (nth === 3) return { t: "requeue", message: "", delayMs: 0, headers: {} };
          return nth <= 5 ? CRASH : ACKED;
        },
      });

      await daemon.push.execute(stage.job({ id: "a" }));

      // Two crashes, a requeue, two crashes, success: of the four attempts in a row never more than two were used.
      const runs = await daemon.ran(6, 4 * stage.redeliveryMs);
      stage.expect(headerValue(runs[3]?.headers ?? {}, "x-job-attempt")).toBe(undefined);
      await pause(1000);
      stage.expect([daemon.runs.length, daemon.store.entries.length]).toEqual([6, 0]);
    },
  },
  {
    key: "failure-others",
    title: "goes on with the other jobs while one waits for its next attempt",
    async run(stage: Stage): Promise<void> {
      const policy = { backoff: { initialMs: 30_000, factor: 1, maxMs: 30_000, jitter: 0 } };
      const daemon = await stage.daemon({ workers: 1, policy, worker: ({ id }) => (id === "bad" ? CRASH : ACKED) });

      await daemon.push.execute(stage.job({ id: "bad" }));
      await daemon.ran(1, stage.patienceMs, "bad");
      const jobs = stage.jobs(20);
      await daemon.pushBatch.execute(jobs);

      await daemon.ran(21, stage.patienceMs);
      stage.expect(new Set(daemon.runs.map(({ id }) => id)).size).toBe(21);
    },
  },
  {
    key: "failure-auto-ack",
    title: "keeps a job that is acknowledged before it runs and crashes as a dead letter, and does not run it again",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 1, worker: () => CRASH });

      await daemon.push.execute(stage.job({ id: "a", autoAck: true, payload: Buffer.from("at most once") }));

      await expectGivenUp(stage, daemon, "auto_ack", "at most once");
      await pause(1500);
      stage.expect(daemon.runs.length).toBe(1);
    },
  },
  {
    key: "failure-malformed",
    title: "gives up a job whose worker's answer can not be understood",
    wishes: { deadLetters: true },
    async run(stage: Stage): Promise<void> {
      const answer = Buffer.from("not json");
      const daemon = await stage.daemon({ worker: () => ({ t: "malformed", message: "not JSON", answer }) });

      await daemon.push.execute(stage.job({ id: "a", payload: Buffer.from("misunderstood") }));

      await expectGivenUp(stage, daemon, "malformed", "misunderstood");
      await pause(700);
      stage.expect(daemon.runs.length).toBe(1);
    },
  },
  {
    key: "failure-store",
    title: "keeps a job, and runs it again, while the place for given-up jobs can not be written",
    limitMs: 120_000,
    unless: ({ nativeDeadLetter, nack }) =>
      nativeDeadLetter || nack !== undefined ? "its broker keeps given-up jobs" : undefined,
    async run(stage: Stage): Promise<void> {
      const policy = { backoff: { initialMs: 300, factor: 1, maxMs: 300, jitter: 0 } };
      const daemon = await stage.daemon({
        policy,
        worker: () => ({ t: "nack", message: "x", requeue: false, delayMs: 0 }),
      });
      daemon.store.faults.failNext("put", new Error("no space left on device"));

      await daemon.push.execute(stage.job({ id: "a", payload: Buffer.from("kept") }));

      await expectGivenUp(stage, daemon, "nack", "kept");
      stage.expect(daemon.runs.length).toBe(2);
    },
  },
];
