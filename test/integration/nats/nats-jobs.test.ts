import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { headers as newHeaders } from "nats";
import { messageOf } from "../../../src/domain/errors.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { eventually, NatsWorld, pause } from "../../support/nats-world.ts";

jest.setTimeout(90_000);

describeWithBroker("nats", "jobs through a stream", (broker) => {
  let world: NatsWorld;

  beforeAll(async () => {
    world = await NatsWorld.open(broker.address);
  });

  afterAll(() => world.close());

  test("[NATS-10] an acknowledged job is gone with delete_after_ack, and stays and is not run again without", async () => {
    const deleting = await world.pipeline({ delete_after_ack: true });
    const keeping = await world.pipeline();
    for (const pipeline of [deleting, keeping]) {
      await pipeline.push();
      await pipeline.resume();

      await pipeline.sink.settle(await pipeline.sink.delivery(0));
    }

    await eventually("the message to be gone", async () => (await world.peer.count(deleting.stream)) === 0);
    expect(await world.peer.count(keeping.stream)).toBe(1);
    await keeping.close();
    const { stream, subject, name } = keeping;
    const again = await world.pipeline({ stream, subject }, { pipeline: name });
    await again.resume();
    await again.push({ id: "new" });
    await again.sink.delivery(0);
    expect(again.sink.ids).toEqual(["new"]);
  });

  test("[NATS-42] a batch of 1,000 is stored in order; the one job that can not be stored is named", async () => {
    const pipeline = await world.pipeline({ prefetch: 1000 }, { credit: 1000 });
    const jobs = Array.from({ length: 1000 }, (_value, n) =>
      pipeline.job({ id: `job-${n}`, payload: new Uint8Array(n === 500 ? 900_000 : 64) }),
    );

    const failures = await pipeline.driver.pushBatch(jobs);

    expect(failures.map(({ index, unknown }) => [index, unknown])).toEqual([[500, false]]);
    expect(messageOf(failures[0]?.error)).toContain("max_payload");
    pipeline.sink.acknowledgeAll();
    await pipeline.resume();
    await eventually("999 deliveries", () => pipeline.sink.deliveries.length === 999);
    expect(pipeline.sink.ids).toEqual(jobs.map(({ id }) => id).filter((id) => id !== "job-500"));
  });

  test("[NATS-42] a batch of 1,000 takes less than a fifth of 1,000 pushes one after the other", async () => {
    const pipeline = await world.pipeline();
    await pipeline.pushMany(1000, "warm");
    const count = 300;
    const startedAt = performance.now();
    for (let n = 0; n < count; n++) await pipeline.push();
    const singleMs = ((performance.now() - startedAt) * 1000) / count;

    const batches: number[] = [];
    for (let round = 0; round < 3; round++) {
      const from = performance.now();
      await pipeline.pushMany(1000, `round-${round}`);
      batches.push(performance.now() - from);
    }

    expect(Math.min(...batches)).toBeLessThan(singleMs / 5);
  });

  test("[NATS-33] payloads of any bytes up to the server's limit arrive as they are, and a larger one is refused at once", async () => {
    const pipeline = await world.pipeline();
    const payloads = [
      Buffer.alloc(0),
      Buffer.from(Array.from({ length: 256 }, (_value, n) => n)),
      Buffer.alloc(700 * 1024, "x"),
      Buffer.from("a\0b🙂"),
    ];
    await pipeline.resume();

    for (const [index, payload] of payloads.entries()) {
      const job = await pipeline.push({ payload, name: "App\0\\🙂", id: `id\0🙂-${index}` });
      const { job: received } = await pipeline.sink.delivery(index);
      expect([received.name, received.id]).toEqual([job.name, job.id]);
      expect(Buffer.compare(received.payload, payload)).toBe(0);
    }
    const tooLarge = Promise.resolve(pipeline.driver.push(pipeline.job({ payload: Buffer.alloc(800 * 1024) })));
    await expect(tooLarge).rejects.toMatchObject({ code: "JOBS_JOB_INVALID", retryable: false });
    await expect(tooLarge).rejects.toThrow(/1092\d{3} bytes .* takes 1048576 \(max_payload\)/);
  });

  test("[NATS-5] messages of others are jobs with the message as payload", async () => {
    const pipeline = await world.pipeline({}, { priority: 7 });
    const bodies = ["foo-barrrrrr-bazzzzz", "5", '"text"', "[1]", '{"foo":"bar"}', "null", '{"job":"a"'];
    await pipeline.resume();

    for (const [index, body] of bodies.entries()) {
      await world.peer.js.publish(pipeline.subject, body);
      const { job } = await pipeline.sink.delivery(index);
      expect([job.name, Buffer.from(job.payload).toString(), job.priority]).toEqual(["deduced_by_rr", body, 7]);
      expect(job.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
    }
    expect(pipeline.log.messages("debug").filter((message) => message === "raw payload")).toHaveLength(bodies.length);
  });

  test("[NATS-8] headers come back as NATS can carry them, and what it can not is told", async () => {
    const pipeline = await world.pipeline();
    await pipeline.resume();

    await pipeline.push({
      headers: { b: ["x", "y"], a: [""], u: ["ß 🙂"], nl: ["a\r\nb"], "bad name": ["v"], none: [] },
    });

    const { job } = await pipeline.sink.delivery(0);
    const expected = { b: ["x", "y"], a: [""], u: ["ß 🙂"], nl: ["a  b"], "x-nats-subject": [pipeline.subject] };
    expect({ ...job.headers }).toEqual(expected);
    const warning = pipeline.log.records.find(({ message }) => message.startsWith("headers were left out"));
    expect(warning).toMatchObject({ level: "warn", fields: { headers: ["bad name"] } });
  });

  test("[NATS-7] the header x-nats-subject is the subject of the message, whatever its sender says", async () => {
    const root = uniqueName("wild");
    const pipeline = await world.pipeline({ subject: `${root}.*` });
    const forged = newHeaders();
    forged.set("x-nats-subject", "forged");
    await pipeline.resume();

    await world.peer.js.publish(`${root}.real`, "x", { headers: forged });

    expect((await pipeline.sink.delivery(0)).job.headers["x-nats-subject"]).toEqual([`${root}.real`]);
    await pipeline.push();
    expect((await pipeline.sink.delivery(1)).job.headers["x-nats-subject"]).toEqual([`${root}.*`]);
  });

  test("[NATS-13] the copy of a requeued job keeps the subject of its original", async () => {
    const root = uniqueName("wild");
    const pipeline = await world.pipeline({ subject: `${root}.*` });
    await pipeline.resume();
    await world.peer.js.publish(`${root}.one`, "x");
    const first = await pipeline.sink.delivery(0);

    await pipeline.sink.settle(first, { t: "requeue", headers: { ...first.job.headers, tries: ["1"] }, delayMs: 0 });

    const { job } = await pipeline.sink.delivery(1);
    expect({ ...job.headers }).toEqual({ tries: ["1"], "x-nats-subject": [`${root}.one`] });
  });

  test("[NATS-12] a job that carries a message id is requeued within the duplicate window and not lost", async () => {
    const pipeline = await world.pipeline();
    await pipeline.resume();
    await pipeline.push({ id: "dup", headers: { "Nats-Msg-Id": ["same"] } });
    const first = await pipeline.sink.delivery(0);
    expect(first.job.headers["Nats-Msg-Id"]).toEqual(["same"]);

    await pipeline.sink.settle(first, { t: "requeue", headers: { ...first.job.headers, tries: ["1"] }, delayMs: 0 });

    const second = await pipeline.sink.delivery(1);
    expect([second.job.id, second.job.headers["tries"]]).toEqual(["dup", ["1"]]);
    // The original, and nothing else, went with its copy.
    await eventually("one message", async () => (await world.peer.count(pipeline.stream)) === 1);
  });

  test("[NATS-14] a rejected job runs once; one rejected with a redelivery comes again after its delay, unchanged", async () => {
    const pipeline = await world.pipeline({ delete_after_ack: true });
    await pipeline.resume();
    await pipeline.push({ id: "rejected" });
    await pipeline.sink.settle(await pipeline.sink.delivery(0), { t: "nack" });
    await pipeline.push({ id: "again", payload: Buffer.from("same") });
    const first = await pipeline.sink.delivery(1);
    const from = performance.now();

    await pipeline.sink.settle(first, { t: "requeue", headers: first.job.headers, delayMs: 3000 });

    const second = await pipeline.sink.delivery(2);
    expect(performance.now() - from).toBeGreaterThanOrEqual(2990);
    expect([second.job.id, Buffer.from(second.job.payload).toString(), second.deliveries]).toEqual([
      "again",
      "same",
      2,
    ]);
    expect(pipeline.sink.ids).toEqual(["rejected", "again", "again"]);
    await pipeline.sink.settle(second);
    await eventually("an empty stream", async () => (await world.peer.count(pipeline.stream)) === 0);
  });

  test("[NATS-34] a pushed delay is kept by the consumer: not early, once, and nobody else waits", async () => {
    const pipeline = await world.pipeline({ delayed: "nak", prefetch: 2 });
    await pipeline.resume();
    const from = performance.now();
    for (let n = 0; n < 5; n++) await pipeline.push({ id: `late-${n}`, delaySec: 5, headers: { a: ["1"] } });
    await pipeline.push({ id: "now" });

    await pipeline.sink.settle(await pipeline.sink.delivery(0));
    expect(pipeline.sink.ids).toEqual(["now"]);

    pipeline.sink.acknowledgeAll();
    await eventually("the delayed ones", () => pipeline.sink.deliveries.length === 6);
    expect(performance.now() - from).toBeGreaterThanOrEqual(4950);
    expect([...pipeline.sink.ids].sort()).toEqual(["late-0", "late-1", "late-2", "late-3", "late-4", "now"]);
    const delayed = pipeline.sink.deliveries[1];
    expect({ ...delayed?.job.headers }).toEqual({ a: ["1"], "x-nats-subject": [pipeline.subject] });
    expect(delayed?.deliveries).toBe(1);
    await pause(500);
    expect(pipeline.sink.deliveries).toHaveLength(6);
  });

  test("the server keeps the delay where the stream takes scheduled messages", async () => {
    const pipeline = await world.pipeline({ delayed: "schedule" });
    await pipeline.resume();
    const from = performance.now();

    const failures = await pipeline.driver.pushBatch([
      pipeline.job({ id: "late", delaySec: 2, headers: { a: ["1"] } }),
      pipeline.job({ id: "later", delaySec: 3 }),
      pipeline.job({ id: "now" }),
    ]);

    expect(failures).toEqual([]);
    await pipeline.sink.delivery(0);
    const late = await pipeline.sink.delivery(1);
    expect(performance.now() - from).toBeGreaterThanOrEqual(1950);
    await pipeline.sink.delivery(2);
    expect(pipeline.sink.ids).toEqual(["now", "late", "later"]);
    expect({ ...late.job.headers }).toEqual({ a: ["1"], "x-nats-subject": [pipeline.subject] });
    expect(late.deliveries).toBe(1);
    const { config } = await world.peer.api.streams.info(pipeline.stream);
    expect(config).toMatchObject({ allow_msg_schedules: true });
    expect(config.subjects).toEqual([pipeline.subject, `jobsd-delayed.${pipeline.durable}.>`]);
  });

  test("a stream that takes scheduled messages is used so without being told; another one is left alone", async () => {
    const taking = uniqueName("taking");
    const config = { name: taking, subjects: [`${taking}.a`], allow_msg_schedules: true };
    await world.peer.api.streams.add(config);
    const first = await world.pipeline({ stream: taking, subject: `${taking}.a` });
    const second = await world.pipeline();

    for (const pipeline of [first, second]) await pipeline.push({ delaySec: 60 });

    const stored = await world.peer.api.streams.getMessage(taking, { seq: 1 });
    expect(stored.header.get("Nats-Schedule-Target")).toBe(`${taking}.a`);
    const kept = await world.peer.api.streams.getMessage(second.stream, { seq: 1 });
    expect(kept.header.get("x-rr-not-before")).toMatch(/^\d+$/);
    expect(await world.peer.api.streams.info(second.stream)).not.toMatchObject({
      config: { allow_msg_schedules: true },
    });
  });
});
