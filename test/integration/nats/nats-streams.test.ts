import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import type { StreamConfig } from "nats";
import { messageOf } from "../../../src/domain/errors.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { eventually, NatsWorld, pause } from "../../support/nats-world.ts";

jest.setTimeout(90_000);

describeWithBroker("nats", "streams", (broker) => {
  let world: NatsWorld;

  beforeAll(async () => {
    world = await NatsWorld.open(broker.address);
  });

  afterAll(() => world.close());

  test.each([
    [
      "limits",
      { max_age: 3_600_000_000_000, max_bytes: 1_000_000, description: "ours", duplicate_window: 1_000_000_000 },
    ],
    ["a work queue", { retention: "workqueue" }],
    ["memory", { storage: "memory" }],
    ["interest", { retention: "interest" }],
  ])("[NATS-21] an existing stream with %s keeps its settings, and the pipeline works", async (_what, settings) => {
    const name = uniqueName("existing");
    const config = { name, subjects: [`${name}.>`], ...settings } as unknown as Partial<StreamConfig>;
    const before = (await world.peer.api.streams.add(config)).config;
    const pipeline = await world.pipeline({ stream: name, subject: `${name}.jobs`, deliver_new: true });
    await pipeline.resume();

    const job = await pipeline.push();

    await pipeline.sink.settle(await pipeline.sink.delivery(0));
    expect(pipeline.sink.ids).toEqual([job.id]);
    expect((await world.peer.api.streams.info(name)).config).toEqual(before);
  });

  test("[NATS-22] two pipelines on one stream push and consume their own subject", async () => {
    const stream = uniqueName("shared");
    const pipelines = [];
    for (const subject of [`${stream}.a`, `${stream}.b`]) pipelines.push(await world.pipeline({ stream, subject }));
    for (const pipeline of pipelines) {
      pipeline.sink.acknowledgeAll();
      await pipeline.resume();
    }

    for (const pipeline of pipelines) await pipeline.push({ id: `for ${pipeline.subject}` });
    for (const pipeline of pipelines) await pipeline.sink.delivery(0);
    await pause(300);

    for (const pipeline of pipelines) expect(pipeline.sink.ids).toEqual([`for ${pipeline.subject}`]);
    const { config } = await world.peer.api.streams.info(stream);
    expect(config.subjects).toEqual([`${stream}.a`, `${stream}.b`]);
  });

  test("a wider subject takes the place of those it covers", async () => {
    const stream = uniqueName("wider");
    await world.pipeline({ stream, subject: `${stream}.a` });

    await world.pipeline({ stream, subject: `${stream}.*` });

    expect((await world.peer.api.streams.info(stream)).config.subjects).toEqual([`${stream}.*`]);
  });

  test("[NATS-23] a subject another stream has is refused with both names and the server's number", async () => {
    const owner = await world.pipeline();

    const error = await world.pipeline({ subject: owner.subject }).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: "JOBS_PIPELINE_INVALID", retryable: false });
    expect(messageOf(error)).toContain(owner.subject);
    expect(messageOf(error)).toContain("10065");
  });

  test("a stream that may not be created is asked for and not made", async () => {
    const pipeline = await world.pipeline({ skip_stream_declaration: true }, { timeoutMs: 1500 });

    await expect(pipeline.push()).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });

    expect(pipeline.driver.link.t).not.toBe("ready");
    await world.peer.api.streams.add({ name: pipeline.stream, subjects: [pipeline.subject] });
    await eventually("the link", () => pipeline.driver.link.t === "ready");
    await pipeline.push();
  });

  test("[NATS-30] a consumer that was deleted is made anew: what is left comes, what is done does not, one warning", async () => {
    const pipeline = await world.pipeline({}, { credit: 5 });
    await pipeline.pushMany(10);
    await pipeline.resume();
    for (let n = 0; n < 3; n++) await pipeline.sink.settle(await pipeline.sink.delivery(n));

    await world.peer.api.consumers.delete(pipeline.stream, pipeline.durable);
    await pipeline.push({ id: "after" });

    pipeline.sink.acknowledgeAll();
    for (const delivery of pipeline.sink.deliveries.slice(3))
      await pipeline.sink.settle(delivery).catch(() => undefined);
    await eventually("all", () => new Set(pipeline.sink.ids).size === 11);
    await pause(500);
    expect(pipeline.sink.ids).toHaveLength(11);
    expect(pipeline.log.messages("warn")).toEqual(["consumer does not work any more, it is looked after"]);
    expect(pipeline.metrics.linesOf("consumerRestarted")).toHaveLength(1);
  });

  test("[NATS-30] a stream that was deleted is made anew, and pushes work again", async () => {
    const pipeline = await world.pipeline();
    pipeline.sink.acknowledgeAll();
    await pipeline.push({ id: "before" });
    await pipeline.resume();
    await pipeline.sink.delivery(0);

    await world.peer.api.streams.delete(pipeline.stream);
    const failures = await pipeline.driver.pushBatch([pipeline.job({ id: "a" }), pipeline.job({ id: "b" })]);

    expect(failures).toEqual([]);
    await pipeline.sink.delivery(2);
    expect(pipeline.sink.ids).toEqual(["before", "a", "b"]);
  });

  test("what was held of a deleted stream can not be settled any more", async () => {
    const pipeline = await world.pipeline();
    await pipeline.push({ id: "held" });
    await pipeline.resume();
    const held = await pipeline.sink.delivery(0);

    await world.peer.api.streams.delete(pipeline.stream);
    await pipeline.push({ id: "new" });
    await pipeline.sink.delivery(1);

    await expect(Promise.resolve(held.settle({ t: "ack" }))).rejects.toMatchObject({
      code: "JOBS_DRIVER_STALE_DELIVERY",
    });
  });

  test("[NATS-32] a push to a full stream fails with the server's words", async () => {
    const name = uniqueName("full");
    const config = { name, subjects: [`${name}.a`], max_msgs: 2, discard: "new" } as unknown as Partial<StreamConfig>;
    await world.peer.api.streams.add(config);
    const pipeline = await world.pipeline({ stream: name, subject: `${name}.a`, delete_after_ack: true });

    const failures = await pipeline.driver.pushBatch([pipeline.job(), pipeline.job(), pipeline.job()]);

    expect(failures).toMatchObject([{ index: 2, unknown: false, error: { code: "JOBS_PIPELINE_FULL" } }]);
    expect(messageOf(failures[0]?.error)).toContain("maximum messages exceeded");
    pipeline.sink.acknowledgeAll();
    await pipeline.resume();
    await eventually("room", async () => (await world.peer.count(name)) === 0);
    await pipeline.push();
  });

  test("[NATS-36] delete_stream_on_stop deletes the stream; if that fails it is told, and the connection ends all the same", async () => {
    const deleting = await world.pipeline({ delete_stream_on_stop: true });
    await deleting.close();
    await expect(world.peer.api.streams.info(deleting.stream)).rejects.toThrow("stream not found");

    const gone = await world.pipeline({ delete_stream_on_stop: true });
    await world.peer.api.streams.delete(gone.stream);
    await gone.close();

    expect(gone.log.messages("warn")).toContain("pipeline could not leave its stream cleanly");
    expect(gone.log.messages("info")).toContain("nats disconnected");
    expect(gone.driver.link).toEqual({ t: "closed" });
  });

  test("[NATS-40] counts are the consumer's: what is delivered and what waits, zero when idle; another pipeline's troubles are its own", async () => {
    const pipeline = await world.pipeline({}, { credit: 2 });
    const broken = await world.pipeline({ skip_stream_declaration: true }, { timeoutMs: 1000 });
    expect(pipeline.driver.queue).toBe(pipeline.subject);
    const signal = (): AbortSignal => AbortSignal.timeout(2_000);
    expect(await pipeline.driver.stats(signal())).toEqual({ active: 0, delayed: 0, reserved: 0 });

    await pipeline.pushMany(5);
    await pipeline.resume();
    await pipeline.sink.delivery(1);

    expect(await pipeline.driver.stats(signal())).toEqual({ active: 2, delayed: 0, reserved: 3 });
    await expect(broken.driver.stats(signal())).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });
    await world.peer.api.consumers.delete(pipeline.stream, pipeline.durable);
    await pause(50);
    await eventually("the counts again", () =>
      pipeline.driver.stats(signal()).then(
        () => true,
        () => false,
      ),
    );
  });

  test("[NATS-24] a prefetch that can not be used is the default, with a warning", async () => {
    const pipeline = await world.pipeline({ prefetch: "-1" }, { origin: "declared" });

    expect(pipeline.driver.capabilities.prefetch).toBe(100);
    expect(pipeline.log.messages("warn")).toEqual(["option was changed"]);
  });
});
