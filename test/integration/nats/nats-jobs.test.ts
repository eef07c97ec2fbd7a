import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithBroker } from "../../support/brokers.ts";
import { eventually, NatsWorld } from "../../support/nats-world.ts";

describeWithBroker("nats", "jobs through a stream", (broker) => {
  let world: NatsWorld;

  beforeAll(async () => {
    world = await NatsWorld.open(broker.address);
  });

  afterAll(() => world.close());

  test("a pushed job is delivered with all its fields and gone after its acknowledgement", async () => {
    const pipeline = await world.pipeline({ delete_after_ack: true });
    const headers = { a: ["1", "2"], b: ["ü"] };

    const job = await pipeline.push({ name: "App\\Mail<>", payload: Buffer.from([0, 1, 255]), headers, priority: 3 });
    await pipeline.resume();
    const delivery = await pipeline.sink.delivery(0);

    expect(delivery.job).toMatchObject({ id: job.id, name: job.name, priority: 3, pipeline: pipeline.name });
    expect(Buffer.from(delivery.job.payload)).toEqual(Buffer.from([0, 1, 255]));
    expect({ ...delivery.job.headers }).toEqual({ ...headers, "x-nats-subject": [pipeline.subject] });
    expect(delivery.queue).toBe(pipeline.stream);
    await pipeline.sink.settle(delivery);
    expect(await world.peer.count(pipeline.stream)).toBe(0);
  });

  test("[NATS-42] a batch of 1,000 is stored in order", async () => {
    const pipeline = await world.pipeline();

    const ids = await pipeline.pushMany(1000);
    pipeline.sink.acknowledgeAll();
    await pipeline.resume();
    await eventually("1,000 deliveries", () => pipeline.sink.deliveries.length === 1000);

    expect(pipeline.sink.ids).toEqual(ids);
  });
});
