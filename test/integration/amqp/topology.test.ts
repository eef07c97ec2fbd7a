import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { AmqpBench, type BenchPipeline, eventually, UNTIL_DONE } from "../../support/amqp.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";

async function consumeAll({ driver, sink }: BenchPipeline): Promise<void> {
  sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
  await driver.resume(UNTIL_DONE);
}

describeWithBroker("amqp", "topology of an AMQP pipeline", ({ address }) => {
  let bench: AmqpBench;
  beforeEach(() => {
    bench = new AmqpBench(address);
  });
  afterEach(() => bench.close());

  test.each(["flat", "nested"])(
    "[AMQP-1] [AMQP-2] two pipelines with %s options run one job each, and take their queues with them",
    async (form) => {
      const names = [bench.names(), bench.names()];
      const pipelines = await Promise.all(
        names.map(({ exchange, queue, routing_key }) =>
          bench.pipeline(
            form === "flat"
              ? { exchange, queue, routing_key, delete_queue_on_stop: true }
              : { version: 2, exchange: { name: exchange }, queue: { name: queue, routing_key, delete_on_stop: true } },
          ),
        ),
      );

      for (const pipeline of pipelines) {
        await consumeAll(pipeline);
        await pipeline.driver.push(aJob());
      }
      await eventually("both jobs", () => pipelines.every(({ sink }) => sink.entries.length === 1));
      for (const { driver } of pipelines) await driver.close(AbortSignal.timeout(5000));

      expect(await Promise.all(names.map(({ queue }) => bench.depth(queue)))).toEqual([undefined, undefined]);
      expect(pipelines.map(({ sink }) => sink.entries.length)).toEqual([1, 1]);
    },
  );

  test("[AMQP-4] two pipelines on one queue of a fanout exchange run each job once", async () => {
    const names = { ...bench.names(), exchange_type: "fanout" };
    const a = await bench.pipeline(names, { pipeline: "a" });
    const b = await bench.pipeline(names, { pipeline: "b" });
    await consumeAll(a);
    await consumeAll(b);

    await a.driver.push(aJob({ id: "of-a" }));
    await b.driver.push(aJob({ id: "of-b" }));
    await eventually("both jobs", () => a.sink.entries.length + b.sink.entries.length === 2);
    await eventually("an empty queue", async () => (await a.driver.stats(UNTIL_DONE)).reserved === 0);

    expect([...a.sink.jobIds, ...b.sink.jobIds].sort()).toEqual(["of-a", "of-b"]);
    expect([...a.sink.entries, ...b.sink.entries].map(({ delivery }) => delivery.queue)).toEqual([
      names.queue,
      names.queue,
    ]);
  });

  test.each([
    ["YAML", { "x-queue-type": "quorum", "x-delivery-limit": 5 }, { "x-queue-type": "quorum", "x-delivery-limit": 5 }],
    ["Declare", '{"x-queue-mode":"lazy"}', { "x-queue-mode": "lazy" }],
    ["Declare with a number", '{"x-message-ttl":60000}', { "x-message-ttl": 60_000 }],
    ["Declare with a number as text", '{"x-message-ttl":"60000"}', { "x-message-ttl": 60_000 }],
  ])("[AMQP-5, AMQP-42] arguments from %s are those of the queue", async (_form, given, expected) => {
    const names = bench.names();
    await bench.pipeline({ ...names, durable: "true", queue_headers: given });
    const channel = await (await bench.client()).createChannel();
    channel.on("error", () => undefined);

    const same = await channel.assertQueue(names.queue, { durable: true, arguments: expected });

    expect(same.queue).toBe(names.queue);
    await expect(channel.assertQueue(names.queue, { durable: true, arguments: {} })).rejects.toThrow(
      "PRECONDITION_FAILED",
    );
  });

  test("[AMQP-6] a job with a routing key of its own is run by the pipeline that is bound to it", async () => {
    const names = bench.names();
    const other = bench.names();
    const a = await bench.pipeline(names, { pipeline: "a" });
    const b = await bench.pipeline({ ...other, exchange: names.exchange }, { pipeline: "b" });
    await consumeAll(a);
    await consumeAll(b);

    await a.driver.push(aJob({ id: "routed", headers: { "x-routing-key": [other.routing_key] } }));
    await eventually("the job", () => b.sink.entries.length === 1);

    expect(a.sink.entries).toEqual([]);
    expect(b.sink.at(0).job.headers["x-routing-key"]).toBeUndefined();
  });

  test("[AMQP-12] twenty pipelines run one job each at once, and stop", async () => {
    const pipelines = await Promise.all(Array.from({ length: 20 }, () => bench.pipeline(bench.names())));
    await Promise.all(pipelines.map(consumeAll));

    for (const { driver } of pipelines) await driver.push(aJob());
    await eventually("twenty jobs", () => pipelines.every(({ sink }) => sink.entries.length === 1));
    await Promise.all(pipelines.map(({ driver }) => driver.close(AbortSignal.timeout(5000))));

    expect(pipelines.map(({ driver }) => driver.link.t)).toEqual(Array.from({ length: 20 }, () => "closed"));
  });

  test("[AMQP-14] a pipeline without a queue pushes, has empty figures, and can not be resumed", async () => {
    const names = bench.names();
    await bench.pipeline(names);
    const { driver } = await bench.pipeline({ exchange: names.exchange, routing_key: names.routing_key });

    await driver.push(aJob({ id: "a" }));

    expect((await bench.get(names.queue))?.properties.headers?.["rr_id"]).toBe("a");
    expect(driver.queue).toBe("");
    expect(await driver.stats(UNTIL_DONE)).toEqual({ active: 0, delayed: 0, reserved: 0 });
    await expect(driver.resume(UNTIL_DONE)).rejects.toThrow("empty queue name, consider adding the queue name");
  });

  test("[AMQP-29] a job pushed before the pipeline consumes for the first time waits for it", async () => {
    const names = bench.names();
    const pipeline = await bench.pipeline(names);

    await pipeline.driver.push(aJob({ id: "early" }));
    const waiting = await bench.depth(names.queue);
    await consumeAll(pipeline);
    await eventually("the job", () => pipeline.sink.entries.length === 1);

    expect(waiting).toBe(1);
  });

  test("[AMQP-30] a push no queue takes is an error, and a success where that is wanted", async () => {
    const names = bench.names();
    const strict = await bench.pipeline(names);
    const lenient = await bench.pipeline({ ...names, on_unroutable: "ignore" });
    const warning = await bench.pipeline({ ...names, on_unroutable: "warn" });
    const job = aJob({ headers: { "x-routing-key": ["nowhere"] } });

    await expect(strict.driver.push(job)).rejects.toThrow(/no queue takes the job.*"nowhere": 312 NO_ROUTE/);
    await lenient.driver.push(job);
    await warning.driver.push(job);

    expect(bench.log.messages("warn")).toEqual(["no queue takes the job, it is dropped"]);
    await strict.driver.push(aJob());
  });

  test("[AMQP-40] a queue that exists with other arguments is refused in the broker's words, others go on", async () => {
    const names = bench.names();
    const good = await bench.pipeline(names);

    await expect(bench.pipeline({ ...names, queue_headers: { "x-message-ttl": 1000 } })).rejects.toThrow(
      /queue ".*": PRECONDITION_FAILED - inequivalent arg 'x-message-ttl'/,
    );
    await expect(bench.pipeline({ ...names, exchange_type: "topic" })).rejects.toThrow(
      /exchange ".*": PRECONDITION_FAILED - inequivalent arg 'type'/,
    );

    await good.driver.push(aJob());
    expect(good.driver.link.t).toBe("ready");
  });

  test("[AMQP-41] the options PHP sends by default, and its name of the topic type, are understood", async () => {
    const names = bench.names();
    const plain = { ...names, queue_headers: "[]", consume_all: "false", prefetch: "100", exchange_durable: "false" };
    const minimal = await bench.pipeline(plain);
    const topics = await bench.pipeline({ ...bench.names(), exchange_type: "topics", queue_headers: "[]" });

    await minimal.driver.push(aJob());
    await topics.driver.push(aJob());

    expect(await bench.depth(names.queue)).toBe(1);
  });

  test("[AMQP-43] the figures of a pipeline whose queue is not there are zeros, and nobody else notices", async () => {
    const consuming = await bench.pipeline(bench.names());
    await consumeAll(consuming);
    const names = bench.names();
    const { driver } = await bench.pipeline({ ...names, queue: uniqueName("absent"), queue_declare: false });

    expect(await driver.stats(UNTIL_DONE)).toEqual({ active: 0, delayed: 0, reserved: 0 });

    await consuming.driver.push(aJob());
    await eventually("the job", () => consuming.sink.entries.length === 1);
    expect(driver.link.t).toBe("ready");
  });

  test("[AMQP-47] a job of a fanout exchange that is requeued comes to the queue it came from, and to no other", async () => {
    const names = { ...bench.names(), exchange_type: "fanout" };
    const mine = await bench.pipeline(names, { pipeline: "mine" });
    const other = await bench.pipeline({ ...names, queue: bench.names().queue }, { pipeline: "other" });
    await mine.driver.resume(UNTIL_DONE);
    await consumeAll(other);

    await mine.driver.push(aJob());
    await eventually("both copies", () => mine.sink.entries.length + other.sink.entries.length === 2);
    await mine.sink.at(0).settle({ t: "requeue", headers: { a: ["1"] }, delayMs: 0 });
    await mine.sink.at(0).settle(ACK);
    await eventually("the job again", () => mine.sink.entries.length === 2);

    expect(mine.sink.at(1).job.headers["a"]).toEqual(["1"]);
    expect(other.sink.entries).toHaveLength(1);
    expect(bench.log.messages("error")).toEqual(["delivery was settled twice"]);
  });
});
