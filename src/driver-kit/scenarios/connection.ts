import { ACK } from "../../domain/delivery.ts";
import { JobsError } from "../../domain/errors.ts";
import { ACKED } from "../../domain/job-result.ts";
import { anyOf, type Scenario, withoutBroker, withoutFault, withoutOrder } from "../scenario.ts";
import { bounded, pause, rejection, until } from "../waiting.ts";
import { PIPELINE, type Stage } from "../stage.ts";

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** Connections that break while the broker is well. */
export const connectionScenarios: readonly Scenario[] = [
  {
    key: "connection-cut-idle",
    title: "goes on by itself after its connections were cut",
    unless: withoutFault("cut"),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "before" }));
      await (await inbox.next(stage.patienceMs)).settle(ACK);

      await stage.fault("cut")();

      await stage.pushAgainAndAgain(driver, stage.job({ id: "after" }));
      await stage.drain(inbox, ["after"]);
      await until("the link to be ready", stage.redeliveryMs, () => driver.link.t === "ready");
    },
  },
  {
    key: "connection-cut-many",
    title: "goes on after its connections were cut five times",
    limitMs: 180_000,
    unless: withoutFault("cut"),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      for (let round = 0; round < 5; round++) {
        const job = stage.job();
        await stage.fault("cut")();
        await stage.pushAgainAndAgain(driver, job);
        await stage.drain(inbox, [job.id]);
      }
    },
  },
  {
    key: "connection-stale",
    title: "refuses to settle what came over a lost connection, and delivers it again",
    unless: anyOf(withoutFault("cut"), ({ afterLostConnection }) =>
      afterLostConnection === "stale" ? undefined : "its deliveries outlive a connection",
    ),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.pushBatch(stage.jobs(2));
      const old = await inbox.take(2, stage.patienceMs);

      await stage.fault("cut")();

      const again = await inbox.take(2, stage.redeliveryMs);
      stage.expect(again.map(({ job }) => job.id).sort()).toEqual(old.map(({ job }) => job.id).sort());
      for (const received of old) {
        const error = await rejection("stale settlement", stage.patienceMs, () => received.settle(ACK));
        stage.expect(error).toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
      }
      for (const received of again) await received.settle(ACK);
      await stage.pushAgainAndAgain(driver, stage.job({ id: "last" }));
      const last = await inbox.next(stage.redeliveryMs);
      stage.expect(last.job.id).toBe("last");
    },
  },
  {
    key: "connection-valid",
    title: "settles what came over a connection that was lost since",
    unless: anyOf(withoutFault("cut"), ({ afterLostConnection }) =>
      afterLostConnection === "valid" ? undefined : "its deliveries end with their connection",
    ),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job({ id: "a" }));
      const received = await stand.inbox.next(stage.patienceMs);

      await stage.fault("cut")();
      await until("the settlement", stage.redeliveryMs, async () => {
        try {
          await received.settle(ACK);
          return true;
        } catch (error) {
          if (JobsError.is(error) && error.retryable) return false;
          throw error;
        }
      });

      await stage.close(stand);
      const { driver, inbox } = await stage.open();
      await stage.pushAgainAndAgain(driver, stage.job({ id: "last" }));
      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("last");
    },
  },
  {
    key: "connection-recovered",
    title: "neither delivers nor runs again what came over a lost connection and was acknowledged, sooner or later",
    unless: anyOf(withoutFault("cut"), ({ afterLostConnection }) =>
      afterLostConnection === "recovered" ? undefined : "its broker alone decides what is delivered again",
    ),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      const { driver, inbox } = stand;
      await driver.pushBatch(stage.jobs(2));
      const [soon, late] = await inbox.take(2, stage.patienceMs);

      await stage.fault("cut")();
      await soon?.settle(ACK).catch((error: unknown) => {
        stage.expect(error).toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
        soon.forget();
      });
      const last = stage.job({ id: "last" });
      await stage.pushAgainAndAgain(driver, last);
      await stage.drain(inbox, [last.id]);
      await pause(1000);
      await late?.settle(ACK);

      stage.expect(inbox.received.map(({ job }) => job.id)).toEqual(["job-1", "job-2", "last"]);
      await stage.close(stand);
      const other = await stage.open();
      await stage.pushAgainAndAgain(other.driver, stage.job({ id: "next" }));
      stage.expect((await other.inbox.next(stage.redeliveryMs)).job.id).toBe("next");
    },
  },
  {
    key: "connection-cut-pushing",
    title: "loses no job whose push succeeded while connections were cut",
    limitMs: 120_000,
    unless: withoutFault("cut"),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const stored: string[] = [];
      const push = async (count: number): Promise<void> => {
        for (const job of stage.jobs(count)) {
          try {
            await driver.push(job);
            stored.push(job.id);
          } catch (error) {
            if (!JobsError.is(error)) throw error;
          }
        }
      };

      const pushing = Promise.all([push(60), push(60), push(60)]);
      for (let cuts = 0; cuts < 3; cuts++) {
        await pause(100);
        await stage.fault("cut")();
      }
      await pushing;
      const last = stage.job();
      await stage.pushAgainAndAgain(driver, last);

      await stage.drain(inbox, [...stored, last.id]);
    },
  },
  {
    key: "connection-cut-batch",
    title: "says of each job of a batch whether it was stored when the connection is cut",
    limitMs: 120_000,
    unless: withoutFault("resetAfter"),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const payload = Buffer.alloc(4000, "x");
      const jobs = stage.jobs(100, { payload });

      await stage.fault("resetAfter")(200_000);
      const failures = await bounded("batch", stage.redeliveryMs, () => Promise.resolve(driver.pushBatch(jobs)));

      const failed = new Set(failures.map(({ index }) => index));
      stage.expect(failed.size).toBe(failures.length);
      const stored = jobs.filter((_, index) => !failed.has(index)).map(({ id }) => id);
      const last = stage.job();
      await stage.pushAgainAndAgain(driver, last);
      await stage.drain(inbox, [...stored, last.id]);
      // Of the others it is not known, but none may be there in part.
      const broken = inbox.received.filter(({ job }) => job.id !== last.id && job.payload.length !== payload.length);
      stage.expect(broken.length).toBe(0);
    },
  },
  {
    key: "connection-executing",
    title: "loses no job while its connections are cut under load, and says how many ran twice",
    limitMs: 180_000,
    unless: withoutFault("cut"),
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ workers: 4 });
      const jobs = stage.jobs(400);
      await daemon.pushBatch.execute(jobs);

      for (let cuts = 0; cuts < 3; cuts++) {
        await pause(100);
        await stage.fault("cut")();
      }

      const missing = (): readonly string[] => {
        const ran = new Set(daemon.runs.map(({ id }) => id));
        return jobs.map(({ id }) => id).filter((id) => !ran.has(id));
      };
      await until("all jobs to run", 2 * stage.redeliveryMs, () => missing().length === 0);
      stage.expect(missing()).toEqual([]);
    },
  },
  {
    key: "connection-requeue-refused",
    title: "gives a job back to its broker when the copy of a requeue can not be written",
    limitMs: 120_000,
    unless: anyOf(withoutBroker, withoutFault("refuse")),
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({
        workers: 1,
        timeoutMs: 3000,
        worker: ({ nth }) => (nth === 1 ? undefined : ACKED),
      });
      await daemon.push.execute(stage.job({ id: "a", headers: { a: ["old"] } }));
      const [run] = await daemon.ran(1, stage.patienceMs);

      await stage.fault("refuse")();
      run?.answer({ t: "requeue", message: "", delayMs: 0, headers: { a: ["new"] } });
      await pause(1500);
      stage.expect(stage.metrics.linesOf(`executed kit ${stage.kind} requeued`).length).toBe(0);
      await stage.fault("heal")();

      await daemon.ran(2, 2 * stage.redeliveryMs, "a");
    },
  },
  {
    key: "connection-paused",
    title: "stays paused when its connection comes back",
    unless: anyOf(withoutBroker, withoutFault("cut")),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.pause(signal());

      await stage.fault("cut")();
      await stage.pushAgainAndAgain(driver, stage.job({ id: "a" }));
      await inbox.quiet(1500);
      await driver.resume(signal());

      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("a");
    },
  },
  {
    key: "connection-declared",
    title: "keeps the priority of a declared pipeline, and whether it consumes, when its connection comes back",
    limitMs: 120_000,
    unless: anyOf(withoutBroker, withoutFault("cut")),
    async run(stage: Stage): Promise<void> {
      const daemon = await stage.daemon({ configured: false });
      const options: Record<string, string> = { driver: stage.kind, name: PIPELINE, priority: "3" };
      for (const [name, value] of Object.entries(stage.place.options)) {
        options[name] = typeof value === "string" ? value : JSON.stringify(value);
      }
      await daemon.declare.execute(options);
      await daemon.resume.execute([PIPELINE]);
      const { driver } = daemon.registry.get(PIPELINE);

      await stage.fault("cut")();
      await stage.pushAgainAndAgain(driver, stage.job({ id: "resumed" }));
      await daemon.ran(1, stage.redeliveryMs, "resumed");
      await daemon.pause.execute([PIPELINE]);
      await stage.fault("cut")();
      await stage.pushAgainAndAgain(driver, stage.job({ id: "paused" }));
      await pause(1500);

      stage.expect(daemon.runs.some(({ id }) => id === "paused")).toBe(false);
      const [stat] = await daemon.stat.execute();
      stage.expect(stat ?? {}).toMatchObject({ pipeline: PIPELINE, priority: 3, ready: false });
      await daemon.resume.execute([PIPELINE]);
      await daemon.ran(1, stage.redeliveryMs, "paused");
    },
  },
  {
    key: "connection-slow",
    title: "works over a slow connection",
    limitMs: 180_000,
    unless: withoutFault("slow"),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 20 });
      await stage.fault("slow")(100);
      const jobs = stage.jobs(60);

      stage.expect(await driver.pushBatch(jobs)).toEqual([]);

      const received = await inbox.acknowledge(jobs.length, stage.redeliveryMs);
      stage.expect([...received].sort()).toEqual(jobs.map(({ id }) => id).sort());
      stage.expect(inbox.overruns).toBe(0);
    },
  },
  {
    key: "connection-slow-order",
    title: "keeps the order over a slow connection",
    limitMs: 120_000,
    unless: anyOf(withoutOrder, withoutFault("slow")),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 3 });
      await stage.fault("slow")(50);
      const jobs = stage.jobs(20);

      await Promise.all([driver.pushBatch(jobs.slice(0, 10)), driver.pushBatch(jobs.slice(10))]);

      const received = await inbox.acknowledge(jobs.length, stage.redeliveryMs);
      const place = new Map(received.map((id, index) => [id, index]));
      const inOrder = (part: typeof jobs): boolean =>
        part.every(
          ({ id }, index) => index === 0 || (place.get(part[index - 1]?.id ?? "") ?? 0) < (place.get(id) ?? 0),
        );
      stage.expect([inOrder(jobs.slice(0, 10)), inOrder(jobs.slice(10))]).toEqual([true, true]);
    },
  },
];
