import { ACK } from "../../domain/delivery.ts";
import { toHeaders } from "../../domain/job-headers.ts";
import { anyOf, type Scenario, withoutBroker, withoutOrder } from "../scenario.ts";
import { PIPELINE, type Stage } from "../stage.ts";

/** Jobs on their way in. */
export const pushScenarios: readonly Scenario[] = [
  {
    key: "push-fields",
    title: "delivers a job with the fields it was pushed with",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const payload = Buffer.from('{"to":"a@example.org"}');

      await driver.push(stage.job({ id: "2f9d6e1a", name: "App\\Mail\\Welcome", payload, priority: 7 }));

      const { job } = await inbox.next(stage.patienceMs);
      const { id, name, pipeline, priority, autoAck } = job;
      const expected = { id: "2f9d6e1a", name: "App\\Mail\\Welcome", pipeline: PIPELINE, priority: 7, autoAck: false };
      stage.expect({ id, name, pipeline, priority, autoAck }).toEqual(expected);
      stage.expect(Buffer.from(job.payload).toString()).toBe(payload.toString());
    },
  },
  {
    key: "push-headers",
    title: "keeps header names, their case, and lists of values",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const headers = toHeaders([
        ["a", ["1", "2"]],
        ["X-Ключ", ["é", "", '"quoted" \\ <b>']],
        ["e", []],
      ]);

      await driver.push(stage.job({ headers }));

      const { job } = await inbox.next(stage.patienceMs);
      stage.expect({ ...job.headers }).toMatchObject({ ...headers });
    },
  },
  {
    key: "push-own-headers",
    title: "adds no header of ours to a job that runs for the first time",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      await driver.push(stage.job());

      const { job } = await inbox.next(stage.patienceMs);
      const own = Object.keys(job.headers).filter((name) => name.toLowerCase().startsWith("x-job-"));
      stage.expect(own).toEqual([]);
    },
  },
  {
    key: "push-long-names",
    title: "takes names and ids of 200 characters in any script",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const id = `задание-${"я".repeat(60)}`;
      const name = `App\\Jobs\\${"名".repeat(40)}${"x".repeat(150)}`;

      await driver.push(stage.job({ id, name }));

      const { job } = await inbox.next(stage.patienceMs);
      stage.expect([job.id, job.name]).toEqual([id, name]);
    },
  },
  {
    key: "push-same-id",
    title: "delivers two jobs with one id both",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      await driver.push(stage.job({ id: "twin", payload: Buffer.from("1") }));
      await driver.push(stage.job({ id: "twin", payload: Buffer.from("2") }));

      const both = await inbox.take(2, stage.patienceMs);
      stage.expect(both.map(({ job }) => Buffer.from(job.payload).toString()).sort()).toEqual(["1", "2"]);
    },
  },
  {
    key: "push-priority",
    title: "hands a job over with its own priority",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      await driver.push(stage.job({ priority: 3 }));

      const { priority } = await inbox.next(stage.patienceMs);
      stage.expect(priority).toBe(3);
    },
  },
  {
    key: "push-auto-ack",
    title: "tells whether a job is to be acknowledged before it runs",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();

      await driver.push(stage.job({ autoAck: true }));

      const { job } = await inbox.next(stage.patienceMs);
      stage.expect(job.autoAck).toBe(true);
    },
  },
  {
    key: "push-once",
    title: "delivers each of 200 jobs exactly once while nothing fails",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const jobs = stage.jobs(200);

      await Promise.all(jobs.map(async (job) => driver.push(job)));

      const received = await inbox.acknowledge(jobs.length, stage.patienceMs);
      stage.expect([...received].sort()).toEqual(jobs.map(({ id }) => id).sort());
      await inbox.quiet(300);
    },
  },
  {
    key: "push-order",
    title: "delivers jobs in the order in which they were pushed",
    unless: withoutOrder,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 10 });
      const jobs = stage.jobs(50);

      for (const job of jobs) await driver.push(job);

      const received = await inbox.acknowledge(jobs.length, stage.patienceMs);
      stage.expect(received).toEqual(jobs.map(({ id }) => id));
    },
  },
  {
    key: "push-broker-priority",
    title: "is delivered the more urgent of the waiting jobs first",
    wishes: { priorities: true },
    unless: anyOf(withoutBroker, ({ brokerPriority }) =>
      brokerPriority ? undefined : "its broker does not order by priority",
    ),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ limit: 1, consume: false });
      for (const priority of [5, 1, 3, 2, 4]) await driver.push(stage.job({ id: `p${priority}`, priority }));

      await driver.resume(AbortSignal.timeout(20_000));

      const received = await inbox.acknowledge(5, stage.patienceMs);
      stage.expect(received).toEqual(["p1", "p2", "p3", "p4", "p5"]);
    },
  },
  {
    key: "push-before-resume",
    title: "keeps what is pushed before it consumes for the first time",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open({ consume: false });
      const jobs = stage.jobs(3);
      for (const job of jobs) await driver.push(job);
      await inbox.quiet(300);

      await driver.resume(AbortSignal.timeout(20_000));

      const received = await inbox.take(3, stage.patienceMs);
      stage.expect(received.map(({ job }) => job.id).sort()).toEqual(jobs.map(({ id }) => id).sort());
    },
  },
  {
    key: "push-durable",
    title: "keeps a pushed job when the daemon that pushed it is gone",
    unless: withoutBroker,
    async run(stage: Stage): Promise<void> {
      const first = await stage.open({ consume: false });
      await first.driver.push(stage.job({ id: "kept" }));
      await stage.close(first);

      const { inbox } = await stage.open();

      const { job } = await inbox.next(stage.redeliveryMs);
      stage.expect(job.id).toBe("kept");
    },
  },
  {
    key: "push-foreign",
    title: "makes a job of a message that was written by somebody else",
    unless: anyOf(withoutBroker, ({ foreignMessages }) =>
      foreignMessages ? undefined : "it takes no messages of others",
    ),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      await driver.push(stage.job({ id: "before" }));
      await stage.broker("put")(Buffer.from('{"from":"elsewhere"}'));
      await stage.pushAgainAndAgain(driver, stage.job({ id: "after" }));

      const received = await inbox.take(3, stage.patienceMs);

      const foreign = received.find(({ job }) => job.id !== "before" && job.id !== "after");
      stage.expect(Buffer.from(foreign?.job.payload ?? []).toString()).toBe('{"from":"elsewhere"}');
      stage.expect([foreign?.job.id === "", foreign?.job.name === ""]).toEqual([false, false]);
      stage.expect(foreign?.job.pipeline).toBe(PIPELINE);
      await foreign?.settle(ACK);
    },
  },
];
