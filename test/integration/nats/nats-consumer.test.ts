import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { eventually, NatsWorld, pause } from "../../support/nats-world.ts";

jest.setTimeout(90_000);

const SECOND_NS = 1_000_000_000;

describeWithBroker("nats", "the durable consumer", (broker) => {
  let world: NatsWorld;

  beforeAll(async () => {
    world = await NatsWorld.open(broker.address);
  });

  afterAll(() => world.close());

  test.each([
    [30, "config"],
    ["30", "config"],
    ["30s", "config"],
    ["30", "declared"],
  ] as const)("[NATS-17] ack_wait %p of a %s pipeline is 30 seconds for the server", async (ackWait, origin) => {
    const pipeline = await world.pipeline({ ack_wait: ackWait }, { origin });

    const { config } = await world.peer.api.consumers.info(pipeline.stream, pipeline.durable);

    expect(config.ack_wait).toBe(30 * SECOND_NS);
  });

  test("[NATS-18] with a prefetch of 3 and blocked workers 3 of 6 messages are delivered", async () => {
    const pipeline = await world.pipeline({ prefetch: 3 }, { credit: 100 });
    await pipeline.pushMany(6);

    await pipeline.resume();
    await eventually("3 deliveries", () => pipeline.sink.deliveries.length === 3);
    await pause(300);

    const found = await world.peer.api.consumers.info(pipeline.stream, pipeline.durable);
    expect([found.num_ack_pending, found.num_pending]).toEqual([3, 3]);
    expect(await pipeline.driver.stats(AbortSignal.timeout(10_000))).toEqual({ active: 3, delayed: 0, reserved: 3 });
  });

  test("[NATS-16] jobs that are held three times as long as ack_wait run once", async () => {
    const pipeline = await world.pipeline({ ack_wait: "1s", prefetch: 60 });
    await pipeline.pushMany(50);
    await pipeline.resume();
    await eventually("50 deliveries", () => pipeline.sink.deliveries.length === 50);

    await pause(4000);
    for (const delivery of pipeline.sink.deliveries.slice(0, 50)) await pipeline.sink.settle(delivery);
    await pause(1500);

    expect(pipeline.sink.deliveries).toHaveLength(50);
    expect(pipeline.metrics.linesOf("leaseLost")).toEqual([]);
    const found = await world.peer.api.consumers.info(pipeline.stream, pipeline.durable);
    expect([found.num_ack_pending, found.num_redelivered]).toEqual([0, 0]);
  });

  test("[NATS-19] two daemons with one pipeline run 100 jobs once in all, and both take part", async () => {
    const names = { stream: uniqueName("s"), subject: uniqueName("jobs") };
    const first = await world.pipeline(names, { pipeline: "shared", credit: 5 });
    const second = await world.pipeline(names, { pipeline: "shared", credit: 5 });
    for (const pipeline of [first, second]) {
      pipeline.sink.onDeliver = (delivery) => {
        void pause(5).then(() => pipeline.sink.settle(delivery));
      };
      await pipeline.resume();
    }

    await first.pushMany(100);
    await eventually("100 runs", () => first.sink.deliveries.length + second.sink.deliveries.length >= 100);
    await pause(500);

    const all = [...first.sink.ids, ...second.sink.ids];
    expect([all.length, new Set(all).size]).toEqual([100, 100]);
    expect(first.sink.ids.length).toBeGreaterThan(0);
    expect(second.sink.ids.length).toBeGreaterThan(0);
  });

  test("[NATS-20] a daemon that starts again gets what was not acknowledged, and nothing else", async () => {
    const first = await world.pipeline({ ack_wait: "2s" });
    await first.pushMany(5);
    await first.resume();
    for (let n = 0; n < 3; n++) await first.sink.settle(await first.sink.delivery(n));
    await first.sink.delivery(4);
    await first.close();
    const { stream, subject, name } = first;

    const second = await world.pipeline({ stream, subject }, { pipeline: name });
    await second.resume();
    await second.sink.delivery(1);
    await pause(500);

    expect([...second.sink.ids].sort()).toEqual(["job-3", "job-4"]);
  });

  test("[NATS-25] deliver_new skips what came before the pipeline, and nothing that came while it was away", async () => {
    const names = { stream: uniqueName("s"), subject: uniqueName("jobs") };
    await world.peer.api.streams.add({ name: names.stream, subjects: [names.subject] });
    for (let n = 0; n < 5; n++) await world.peer.js.publish(names.subject, `old-${n}`);
    const first = await world.pipeline({ ...names, deliver_new: "true" }, { pipeline: "newer" });
    await first.push({ id: "paused" });
    await first.close();
    await world.peer.js.publish(names.subject, '{"job":"a","id":"away"}');

    const second = await world.pipeline({ ...names, deliver_new: "true" }, { pipeline: "newer" });
    await second.resume();
    await second.sink.delivery(1);
    await pause(300);

    expect(second.sink.ids).toEqual(["paused", "away"]);
    const created = first.log.records.find(({ message }) => message === "consumer was created");
    expect(created?.fields).toMatchObject({ messages: 5, deliver: "new" });
  });

  test("[NATS-26] a paused pipeline delivers nothing; what it had comes once after it is resumed", async () => {
    const pipeline = await world.pipeline({}, { credit: 10 });
    await pipeline.pushMany(10, "early");
    await pipeline.resume();
    await eventually("10 deliveries", () => pipeline.sink.deliveries.length === 10);
    await pipeline.pause();
    for (const delivery of [...pipeline.sink.deliveries]) await pipeline.sink.settle(delivery, { t: "release" });
    await pipeline.push({ id: "while-paused" });
    await pause(300);
    expect(pipeline.sink.deliveries).toHaveLength(10);

    pipeline.sink.acknowledgeAll();
    await pipeline.resume();
    await eventually("11 more", () => pipeline.sink.deliveries.length === 21);
    await pause(300);

    const after = pipeline.sink.ids.slice(10);
    expect(after).toEqual([...Array.from({ length: 10 }, (_value, n) => `early-${n}`), "while-paused"]);
  });

  test("[NATS-35] a pipeline that is closed with 100 waiting jobs leaves 98 to another one at once", async () => {
    const names = { stream: uniqueName("s"), subject: uniqueName("jobs") };
    const first = await world.pipeline({ ...names, prefetch: 200 }, { pipeline: "handed-on" });
    await first.pushMany(100);
    await first.resume();
    await eventually("100 deliveries", () => first.sink.deliveries.length === 100);

    await first.pause();
    const [one, two, ...waiting] = first.sink.deliveries;
    await Promise.all(waiting.map((delivery) => first.sink.settle(delivery, { t: "release" })));
    for (const running of [one, two]) if (running !== undefined) await first.sink.settle(running);
    await first.close();

    const second = await world.pipeline({ ...names, prefetch: 200 }, { pipeline: "handed-on" });
    await second.resume();
    await eventually("98 deliveries", () => second.sink.deliveries.length === 98);
    expect(second.sink.ids).not.toContain("job-0");
    expect(second.sink.ids).not.toContain("job-1");
  });

  test("[NATS-9] a job that is acknowledged before it runs is not delivered again when the daemon goes away", async () => {
    const first = await world.pipeline({ ack_wait: "1s" });
    await first.push({ autoAck: true });
    await first.resume();
    const delivery = await first.sink.delivery(0);
    expect(first.log.messages("debug")).toContain("auto_ack option enabled");

    await delivery.settle({ t: "ack" });
    await first.close();

    const { stream, subject, name } = first;
    const second = await world.pipeline({ stream, subject }, { pipeline: name });
    await second.resume();
    await pause(1500);
    expect(second.sink.deliveries).toEqual([]);
  });

  test("with compat rr a crashing job comes again at once, then after 1 and 2 seconds", async () => {
    const pipeline = await world.pipeline();
    await pipeline.resume();
    await pipeline.push();
    const times: number[] = [];

    for (let run = 0; run < 4; run++) {
      const delivery = await pipeline.sink.delivery(run);
      times.push(performance.now());
      await pipeline.sink.settle(delivery, run < 3 ? { t: "nack", failed: true } : { t: "ack" });
    }

    const [first = 0, second = 0, third = 0, fourth = 0] = times;
    expect(second - first).toBeLessThan(900);
    expect(third - second).toBeGreaterThanOrEqual(990);
    expect(fourth - third).toBeGreaterThanOrEqual(1990);
  });
});
