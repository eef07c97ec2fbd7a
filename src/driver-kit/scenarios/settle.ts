import { ACK, NACK, NACK_FAILED, RELEASE } from "../../domain/delivery.ts";
import { headerValue, mergeHeaders, toHeaders } from "../../domain/job-headers.ts";
import { anyOf, type Scenario, withoutBroker, withoutDelay } from "../scenario.ts";
import type { Stage, Stand } from "../stage.ts";
import { rejection } from "../waiting.ts";

const signal = (): AbortSignal => AbortSignal.timeout(20_000);

/** Whether the broker still has the job: another daemon that consumes after this one would get it. */
async function expectNothingLeft(stage: Stage, stand: Stand): Promise<void> {
  await stage.close(stand);
  if (stage.flags.storage === "local") return;
  const { driver, inbox } = await stage.open();
  await driver.push(stage.job({ id: "last" }));
  const { job } = await inbox.next(stage.redeliveryMs);
  stage.expect(job.id).toBe("last");
  await inbox.quiet(500);
}

/** What becomes of a delivery. */
export const settleScenarios: readonly Scenario[] = [
  {
    key: "settle-ack",
    title: "never delivers an acknowledged job again",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job());

      await (await stand.inbox.next(stage.patienceMs)).settle(ACK);

      await stand.inbox.quiet(300);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-ack-any-order",
    title: "settles each delivery alone, in any order",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.pushBatch(stage.jobs(5));
      const received = await stand.inbox.take(5, stage.patienceMs);
      const released = received[4]?.job.id;

      await received[3]?.settle(ACK);
      await received[0]?.settle(ACK);
      await received[4]?.settle(RELEASE);

      const again = await stand.inbox.next(stage.redeliveryMs);
      stage.expect(again.job.id).toBe(released);
      for (const one of [received[1], received[2], again]) await one?.settle(ACK);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-requeue",
    title: "requeues a job with its payload and new headers, once",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      const headers = toHeaders([
        ["a", ["old"]],
        ["b", ["kept"]],
      ]);
      await stand.driver.push(stage.job({ id: "again", headers, payload: Buffer.from("same"), priority: 4 }));
      const first = await stand.inbox.next(stage.patienceMs);

      const changed = mergeHeaders(first.job.headers, toHeaders([["a", ["new", "newer"]]]));
      await first.settle({ t: "requeue", headers: changed, delayMs: 0 });

      const second = await stand.inbox.next(stage.redeliveryMs);
      stage.expect({ ...second.job.headers }).toMatchObject({ a: ["new", "newer"], b: ["kept"] });
      const { id, name, priority, payload } = second.job;
      stage.expect([id, name, priority, Buffer.from(payload).toString()]).toEqual(["again", "kit.Job", 4, "same"]);
      await second.settle(ACK);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-requeue-delay",
    title: "requeues a job with a delay and new headers",
    unless: withoutDelay,
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job({ id: "later" }));
      const first = await stand.inbox.next(stage.patienceMs);

      const fromMs = performance.now();
      const headers = mergeHeaders(first.job.headers, toHeaders([["tries", ["1"]]]));
      await first.settle({ t: "requeue", headers, delayMs: 2000 });

      const second = await stand.inbox.next(stage.redeliveryMs);
      const { earlyMs } = stage.flags.delay === false ? { earlyMs: 0 } : stage.flags.delay;
      stage.expect(second.atMs - fromMs).toBeGreaterThanOrEqual(2000 - earlyMs);
      stage.expect(headerValue(second.job.headers, "tries")).toBe("1");
      await second.settle(ACK);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-requeue-unchanged",
    title: "requeues a job whose headers did not change with a delay",
    unless: withoutDelay,
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job({ headers: toHeaders([["a", ["1"]]]) }));
      const first = await stand.inbox.next(stage.patienceMs);

      const fromMs = performance.now();
      await first.settle({ t: "requeue", headers: first.job.headers, delayMs: 1000 });

      const second = await stand.inbox.next(stage.redeliveryMs);
      const { earlyMs } = stage.flags.delay === false ? { earlyMs: 0 } : stage.flags.delay;
      stage.expect(second.atMs - fromMs).toBeGreaterThanOrEqual(1000 - earlyMs);
      stage.expect(headerValue(second.job.headers, "a")).toBe("1");
      await second.settle(ACK);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-retry",
    title: "runs a job that failed again after its back-off",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job({ id: "failing", payload: Buffer.from("same") }));
      const first = await stand.inbox.next(stage.patienceMs);

      const fromMs = performance.now();
      const headers = mergeHeaders(first.job.headers, toHeaders([["x-job-attempt", ["1"]]]));
      await first.settle({ t: "retry", headers, delayMs: 2000 });

      const second = await stand.inbox.next(stage.redeliveryMs);
      const { earlyMs } = stage.flags.delay === false ? { earlyMs: 0 } : stage.flags.delay;
      stage.expect(second.atMs - fromMs).toBeGreaterThanOrEqual(2000 - earlyMs);
      stage.expect([second.job.id, Buffer.from(second.job.payload).toString()]).toEqual(["failing", "same"]);
      const attempt = headerValue(second.job.headers, "x-job-attempt");
      stage.expect(attempt).toBe(stage.flags.retryKeepsHeaders ? "1" : undefined);
      await second.settle(ACK);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-identity",
    title: "knows a job again that it delivers another time after a failure",
    unless: ({ retryKeepsHeaders }) =>
      retryKeepsHeaders ? "its attempts are counted in a header of the job" : undefined,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "a" }));
      await driver.push(stage.job({ id: "b" }));
      const both = await inbox.take(2, stage.patienceMs);
      const identities = new Map(both.map(({ job, delivery }) => [job.id, delivery.identity]));
      stage.expect(identities.get("a") === undefined || identities.get("a") === identities.get("b")).toBe(false);

      for (const { job, settle } of both.map((one) => ({ job: one.job, settle: one.settle.bind(one) }))) {
        await settle({ t: "retry", headers: job.headers, delayMs: 100 });
      }

      for (const { job, delivery } of await inbox.take(2, stage.redeliveryMs)) {
        stage.expect(delivery.identity).toBe(identities.get(job.id));
      }
    },
  },
  {
    key: "settle-release",
    title: "delivers a released job again, unharmed",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      const headers = toHeaders([["a", ["1", "2"]]]);
      await stand.driver.push(stage.job({ id: "unharmed", headers, payload: Buffer.from("same") }));
      const first = await stand.inbox.next(stage.patienceMs);

      await first.settle(RELEASE);

      const second = await stand.inbox.next(stage.redeliveryMs);
      stage.expect([second.job.id, Buffer.from(second.job.payload).toString()]).toEqual(["unharmed", "same"]);
      stage.expect({ ...second.job.headers }).toMatchObject({ a: ["1", "2"] });
      stage.expect(headerValue(second.job.headers, "x-job-attempt")).toBe(undefined);
      await second.settle(ACK);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-release-order",
    title: "delivers jobs that were released in order in that order again",
    unless: anyOf(withoutBroker, ({ releaseKeepsOrder }) =>
      releaseKeepsOrder ? undefined : "released jobs take no places in order",
    ),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 5 });
      const jobs = stage.jobs(20);
      await driver.pushBatch(jobs);
      const received = await inbox.take(5, stage.patienceMs);

      await driver.pause(signal());
      await Promise.all(received.map((one) => one.settle(RELEASE)));
      await driver.resume(signal());

      const ids = await inbox.acknowledge(jobs.length, stage.redeliveryMs);
      stage.expect(ids).toEqual(jobs.map(({ id }) => id));
    },
  },
  {
    key: "settle-nack",
    title: "forgets a job that was rejected as the original does",
    unless: ({ nack }) => (nack === undefined ? undefined : "what becomes of rejected jobs is up to its broker"),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job());

      await (await stand.inbox.next(stage.patienceMs)).settle(NACK);

      await stand.inbox.quiet(500);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-nack-bounded",
    title: "settles a rejected job whose run failed",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job());

      // Forgotten or delivered again: as the original's driver does it. It must not fail or hang.
      await (await inbox.next(stage.patienceMs)).settle(NACK_FAILED);
    },
  },
  {
    key: "settle-dead",
    title: "moves a job that is given up to the broker's own place for dead letters",
    wishes: { deadLetters: true },
    unless: ({ nativeDeadLetter }) => (nativeDeadLetter ? undefined : "its broker has no place for dead letters"),
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job({ payload: Buffer.from("given up") }));

      const letter = { reason: "nack", error: "no such user", attempts: 0, answer: undefined } as const;
      await (await stand.inbox.next(stage.patienceMs)).settle({ t: "dead", letter });

      await stand.inbox.quiet(500);
      const dead = await stage.broker("deadLetters")();
      const found = dead.some((body) => Buffer.from(body).includes("given up"));
      stage.expect(found).toBe(true);
    },
  },
  {
    key: "settle-twice",
    title: "does nothing when a delivery is settled a second time",
    async run(stage: Stage): Promise<void> {
      const stand = await stage.open();
      await stand.driver.push(stage.job({ id: "once" }));
      const received = await stand.inbox.next(stage.patienceMs);

      await received.settle(ACK);
      await received.settle({ t: "requeue", headers: received.job.headers, delayMs: 0 }).catch(() => undefined);
      await received.settle(RELEASE).catch(() => undefined);

      await stand.driver.push(stage.job({ id: "other" }));
      const other = await stand.inbox.next(stage.patienceMs);
      stage.expect(other.job.id).toBe("other");
      await other.settle(ACK);
      await stand.inbox.quiet(300);
      await expectNothingLeft(stage, stand);
    },
  },
  {
    key: "settle-unsettled",
    title: "leaves what was not settled to the next daemon",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.open({ limit: 3 });
      const jobs = stage.jobs(6);
      await first.driver.pushBatch(jobs);
      const [one] = await first.inbox.take(3, stage.patienceMs);
      await one?.settle(ACK);
      // What came for the credit of that one is unsettled as well.
      await stage.close(first);

      const second = await stage.open();

      const left = jobs.map(({ id }) => id).filter((id) => id !== one?.job.id);
      await stage.drain(second.inbox, left);
      await second.inbox.quiet(300);
      const again = second.inbox.received.some(({ job }) => job.id === one?.job.id);
      stage.expect(again).toBe(false);
    },
  },
  {
    key: "settle-after-close",
    title: "refuses to settle when it is closed, as the broker has the job again",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.open();
      await first.driver.push(stage.job({ id: "a" }));
      const received = await first.inbox.next(stage.patienceMs);
      await stage.close(first);

      const error = await rejection("settlement after close", stage.patienceMs, () => received.settle(ACK));

      stage.expect(error).toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
      const second = await stage.open();
      const { job } = await second.inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("a");
    },
  },
];
