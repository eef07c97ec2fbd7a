import { headerValue, toHeaders } from "../../domain/job-headers.ts";
import { ACKED } from "../../domain/job-result.ts";
import type { Run } from "../kit-daemon.ts";
import { anyOf, type Scenario, withoutBroker, withoutOrder } from "../scenario.ts";
import { PIPELINE, type Stage } from "../stage.ts";
import { pause, until } from "../waiting.ts";

const idsOf = (runs: readonly Run[]): readonly string[] => runs.map(({ id }) => id);

/** Time that must have passed before a run that was asked for with a delay. */
function notBefore(stage: Stage, delayMs: number): number {
  return delayMs - (stage.flags.delay === false ? 0 : stage.flags.delay.earlyMs);
}

/** The driver inside the daemon's core: what workers answer, and what operators do to a pipeline. */
export const coreScenarios: readonly Scenario[] = [
  {
    key: "core-executes",
    title: "has each of 300 jobs executed once by three workers",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 3 });
      const jobs = stage.jobs(300);

      await daemon.pushBatch.execute(jobs);

      await daemon.ran(300, stage.patienceMs);
      await pause(300);
      stage.expect([...idsOf(daemon.runs)].sort()).toEqual(jobs.map(({ id }) => id).sort());
    },
  },
  {
    key: "core-order",
    title: "has jobs executed in the order in which they were pushed by one worker",
    unless: withoutOrder,
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 1 });
      const jobs = stage.jobs(100);

      for (const job of jobs) await daemon.push.execute(job);

      stage.expect(idsOf(await daemon.ran(100, stage.patienceMs))).toEqual(jobs.map(({ id }) => id));
    },
  },
  {
    key: "core-fail",
    title: "acknowledges a job its worker fails for good",
    async run(stage: Stage): Promise<void> {
      const failed = { t: "error", message: "x", requeue: false, delayMs: 0, headers: toHeaders([]) } as const;
      const daemon = await stage.daemon({ worker: () => failed });

      await daemon.push.execute(stage.job({ id: "a" }));

      await daemon.ran(1, stage.patienceMs);
      await pause(1000);
      stage.expect(idsOf(daemon.runs)).toEqual(["a"]);
      stage.expect(stage.metrics.linesOf(`executed ${PIPELINE} ${stage.kind} failed`).length).toBe(1);
    },
  },
  {
    key: "core-fail-requeue",
    title: "runs a job again that its worker fails with a requeue, after its delay and with its header",
    async run(stage: Stage): Promise<void> {
      const again = {
        t: "error",
        message: "x",
        requeue: true,
        delayMs: 2000,
        headers: toHeaders([["a", ["1"]]]),
      } as const;
      const daemon = await stage.daemon({ worker: ({ nth }) => (nth === 1 ? again : ACKED) });

      await daemon.push.execute(stage.job({ id: "a" }));

      const [first, second] = await daemon.ran(2, stage.redeliveryMs);
      stage.expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(notBefore(stage, 2000));
      stage.expect(headerValue(second?.headers ?? toHeaders([]), "a")).toBe("1");
    },
  },
  {
    key: "core-nack",
    title: "gives up a job its worker rejects: it is kept as it was, and not executed again",
    unless: ({ nack, nativeDeadLetter }) =>
      nack !== undefined
        ? "a rejected job is sent again, or its broker decides"
        : nativeDeadLetter
          ? "its broker keeps dead letters, see the next scenario"
          : undefined,
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ worker: () => ({ t: "nack", message: "x", requeue: false, delayMs: 0 }) });
      const headers = toHeaders([["a", ["1", "2"]]]);

      await daemon.push.execute(stage.job({ id: "a", headers, payload: Buffer.from("same") }));

      await until("the dead letter", stage.patienceMs, () => daemon.store.entries.length > 0);
      const [entry] = daemon.store.entries;
      stage.expect([entry?.reason, entry?.job.id, entry?.error]).toEqual(["nack", "a", "x"]);
      stage.expect(Buffer.from(entry?.job.payload ?? []).toString()).toBe("same");
      stage.expect({ ...entry?.job.headers }).toMatchObject({ a: ["1", "2"] });
      await pause(1000);
      stage.expect(idsOf(daemon.runs)).toEqual(["a"]);
    },
  },
  {
    key: "core-nack-native",
    title: "leaves a job its worker rejects to the broker's own dead letters, and does not run it again",
    wishes: { deadLetters: true },
    unless: ({ nack, nativeDeadLetter }) =>
      nativeDeadLetter && nack === undefined ? undefined : "its broker does not keep rejected jobs",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ worker: () => ({ t: "nack", message: "x", requeue: false, delayMs: 0 }) });

      await daemon.push.execute(stage.job({ id: "a", payload: Buffer.from("rejected") }));

      await daemon.ran(1, stage.patienceMs);
      await until("the dead letter", stage.patienceMs, async () => {
        const dead = await stage.broker("deadLetters")();
        return dead.some((body) => Buffer.from(body).includes("rejected"));
      });
      await pause(1000);
      stage.expect(idsOf(daemon.runs)).toEqual(["a"]);
      stage.expect(daemon.store.entries.length).toBe(0);
    },
  },
  {
    key: "core-nack-resend",
    title: "sends a job again that its worker rejects, and gives it up at the last of its attempts",
    limitMs: 120_000,
    unless: ({ nack }) => (nack === "resend" ? undefined : "it does not send rejected jobs again"),
    async run(stage: Stage): Promise<void> {
      const policy = { maxAttempts: 3 };
      const daemon = await stage.daemon({
        policy,
        worker: () => ({ t: "nack", message: "x", requeue: false, delayMs: 0 }),
      });

      await daemon.push.execute(stage.job({ id: "a" }));

      await until("the dead letter", 3 * stage.redeliveryMs, () => daemon.store.entries.length > 0);
      stage.expect(daemon.store.entries.map(({ reason, job }) => [reason, job.id])).toEqual([["nack", "a"]]);
      stage.expect(idsOf(daemon.runs)).toEqual(["a", "a", "a"]);
    },
  },
  {
    key: "core-nack-requeue",
    title: "runs a job again that its worker rejects with a requeue, after its delay and with its headers unchanged",
    async run(stage: Stage): Promise<void> {
      const again = { t: "nack", message: "x", requeue: true, delayMs: 3000 } as const;
      const daemon = await stage.daemon({ worker: ({ nth }) => (nth === 1 ? again : ACKED) });

      await daemon.push.execute(stage.job({ id: "a", headers: toHeaders([["a", ["1"]]]) }));

      const [first, second] = await daemon.ran(2, stage.redeliveryMs);
      stage.expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(notBefore(stage, 3000));
      stage.expect(headerValue(second?.headers ?? toHeaders([]), "a")).toBe("1");
      stage.expect(second?.attempt).toBe(undefined);
    },
  },
  {
    key: "core-requeue-headers",
    title: "replaces the headers a requeue names and keeps the others",
    async run(stage: Stage): Promise<void> {
      const again = { t: "requeue", message: "", delayMs: 0, headers: toHeaders([["a", ["new"]]]) } as const;
      const daemon = await stage.daemon({ worker: ({ nth }) => (nth === 1 ? again : ACKED) });
      const headers = toHeaders([
        ["a", ["old"]],
        ["b", ["kept"]],
      ]);

      await daemon.push.execute(stage.job({ id: "a", headers }));

      const [, second] = await daemon.ran(2, stage.redeliveryMs);
      stage.expect({ ...second?.headers }).toMatchObject({ a: ["new"], b: ["kept"] });
    },
  },
  {
    key: "core-requeue-counts",
    title: "carries what an application counts in its own header through three requeues",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({
        worker: ({ headers, nth }) => {
          const attempts = Number(headerValue(headers, "attempts") ?? 0) + 1;
          if (nth > 3) return ACKED;
          const changed = toHeaders([["attempts", [attempts.toString()]]]);
          return { t: "error", message: "again", requeue: true, delayMs: 1000, headers: changed };
        },
      });

      await daemon.push.execute(stage.job({ id: "a" }));

      const runs = await daemon.ran(4, 3 * stage.redeliveryMs);
      stage.expect(runs.map(({ headers }) => headerValue(headers, "attempts"))).toEqual([undefined, "1", "2", "3"]);
      stage.expect(runs.map(({ attempt }) => attempt)).toEqual([undefined, undefined, undefined, undefined]);
    },
  },
  {
    key: "core-fetch-ahead",
    title: "holds no more jobs than its workers and the allowance ahead of them need",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 2, policy: { fetchAhead: 8 }, worker: () => undefined });
      await daemon.pushBatch.execute(stage.jobs(200));

      await daemon.ran(2, stage.patienceMs);
      await pause(700);

      const { flow } = daemon.registry.get(PIPELINE);
      stage.expect(flow.queued + flow.running).toBeLessThanOrEqual(10);
      stage.expect(daemon.running).toBe(2);
    },
  },
  {
    key: "core-concurrency",
    title: "runs no more jobs at once than its pipeline may",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 4, policy: { concurrency: 2 }, worker: () => undefined });
      await daemon.pushBatch.execute(stage.jobs(6));

      for (let done = 0; done < 6; done += 2) {
        const runs = await daemon.ran(done + 2, stage.patienceMs);
        await pause(200);
        stage.expect(daemon.running).toBe(2);
        for (const run of runs.slice(done)) run.answer(ACKED);
      }
    },
  },
  {
    key: "core-pause",
    title: "starts no job of a paused pipeline, and goes on in order when it is resumed",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 1, worker: () => undefined });
      const jobs = stage.jobs(5);
      await daemon.pushBatch.execute(jobs);
      const [first] = await daemon.ran(1, stage.patienceMs);

      await daemon.pause.execute([PIPELINE]);
      first?.answer(ACKED);
      await pause(700);
      stage.expect(daemon.runs.length).toBe(1);
      await daemon.resume.execute([PIPELINE]);

      for (let count = 2; count <= 5; count++) {
        const runs = await daemon.ran(count, stage.redeliveryMs);
        runs.at(-1)?.answer(ACKED);
      }
      const expected = jobs.map(({ id }) => id);
      const inOrder = stage.flags.ordered && (stage.flags.releaseKeepsOrder || stage.flags.storage === "local");
      const ran = idsOf(daemon.runs);
      stage.expect(inOrder ? ran : [...ran].sort()).toEqual(inOrder ? expected : expected.sort());
    },
  },
  {
    key: "core-declare",
    title: "is declared, resumed and destroyed while the daemon runs, and leaves its jobs to its broker",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ configured: false });
      const options: Record<string, string> = { driver: stage.kind, name: PIPELINE };
      for (const [name, value] of Object.entries(stage.place.options)) {
        options[name] = typeof value === "string" ? value : JSON.stringify(value);
      }

      await daemon.declare.execute(options);
      await daemon.push.execute(stage.job({ id: "a" }));
      await daemon.resume.execute([PIPELINE]);
      await daemon.ran(1, stage.redeliveryMs, "a");
      await daemon.pause.execute([PIPELINE]);
      await daemon.push.execute(stage.job({ id: "b" }));
      await daemon.destroy.execute([PIPELINE]);

      stage.expect(daemon.registry.find(PIPELINE)).toBe(undefined);
      if (stage.flags.storage === "local") return;
      await daemon.declare.execute(options);
      await daemon.resume.execute([PIPELINE]);
      await daemon.ran(1, stage.redeliveryMs, "b");
    },
  },
  {
    key: "core-destroy-waits",
    title: "lets a running job end, and settles it, before it is destroyed",
    unless: anyOf(withoutBroker),
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 1, worker: () => undefined });
      await daemon.push.execute(stage.job({ id: "a" }));
      const [run] = await daemon.ran(1, stage.patienceMs);

      const destroyed = daemon.destroy.execute([PIPELINE]);
      await pause(200);
      run?.answer(ACKED);
      await destroyed;

      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "last" }));
      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("last");
      await inbox.quiet(500);
    },
  },
  {
    key: "core-stat",
    title: "shows its place, its kind and whether it consumes",
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon();
      const queue = daemon.registry.get(PIPELINE).driver.queue;

      const [running] = await daemon.stat.execute();
      await daemon.pause.execute([PIPELINE]);
      const [paused] = await daemon.stat.execute();

      const expected = { pipeline: PIPELINE, driver: stage.kind, queue, priority: 10 };
      stage.expect(running ?? {}).toMatchObject({ ...expected, ready: true, error: "" });
      stage.expect(paused ?? {}).toMatchObject({ ...expected, ready: false });
    },
  },
];
