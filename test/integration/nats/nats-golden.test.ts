import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { headers as newHeaders } from "nats";
import { Job } from "../../../src/domain/job.ts";
import {
  dataOf,
  goldenCopy,
  goldenDelayError,
  goldenPushes,
  type RecordedMessage,
} from "../../golden/nats-messages.ts";
import { describeWithBroker } from "../../support/brokers.ts";
import { NatsWorld, type TestPipeline } from "../../support/nats-world.ts";

interface StoredMessage {
  readonly message: { readonly subject: string; readonly data: string; readonly hdrs?: string };
}

/** A message of a stream as the server keeps it. */
async function stored(world: NatsWorld, stream: string, seq: number): Promise<{ lines: string[]; data: Buffer }> {
  const answer = await world.peer.client.request(`$JS.API.STREAM.MSG.GET.${stream}`, JSON.stringify({ seq }));
  const { message } = answer.json<StoredMessage>();
  const block = Buffer.from(message.hdrs ?? "", "base64").toString();
  return {
    lines: block
      .split("\r\n")
      .slice(1)
      .filter((line) => line !== ""),
    data: Buffer.from(message.data, "base64"),
  };
}

/** Publishes what RoadRunner published. */
async function publishRecorded(
  world: NatsWorld,
  pipeline: TestPipeline,
  message: RecordedMessage,
  data: Buffer,
): Promise<void> {
  const block = newHeaders();
  for (const line of message.headers ?? []) {
    const colon = line.indexOf(": ");
    block.append(line.slice(0, colon), line.slice(colon + 2));
  }
  await world.peer.js.publish(pipeline.subject, data, { headers: block });
}

jest.setTimeout(60_000);

describeWithBroker("nats", "messages of RoadRunner on a real server", (broker) => {
  let world: NatsWorld;

  beforeAll(async () => {
    world = await NatsWorld.open(broker.address);
  });

  afterAll(() => world.close());

  test("[NATS-2] what we store has the bytes RoadRunner stores: body and headers", async () => {
    const pipeline = await world.pipeline({}, { pipeline: "p-nats" });

    for (const [index, { job, message, lines, title }] of goldenPushes.entries()) {
      await pipeline.driver.push(job);
      const found = await stored(world, pipeline.stream, index + 1);
      expect([title, found.lines]).toEqual([title, lines]);
      const expected = dataOf(message);
      if (expected !== undefined)
        expect([title, found.data.toString("hex")]).toEqual([title, expected.toString("hex")]);
    }
    await world.peer.api.consumers.delete(pipeline.stream, "rr-jobs-p-nats");
  });

  test("[NATS-3] what RoadRunner stored is delivered with name, id, payload, headers and priority", async () => {
    const pipeline = await world.pipeline({ prefetch: 100 });
    const recorded = goldenPushes.flatMap((push) => {
      const data = dataOf(push.message);
      return data === undefined ? [] : [{ ...push, data }];
    });
    for (const { message, data } of recorded) await publishRecorded(world, pipeline, message, data);

    await pipeline.resume();

    for (const [index, { job, message }] of recorded.entries()) {
      const { job: received } = await pipeline.sink.delivery(index);
      const { name, id, priority, autoAck } = job;
      expect(received).toMatchObject({ name, id, priority, autoAck, pipeline: pipeline.name });
      expect(Buffer.from(received.payload)).toEqual(Buffer.from(job.payload));
      const lines = Object.entries(received.headers).flatMap(([key, values]) =>
        values.map((value) => `${key}: ${value}`),
      );
      // The server keeps the recorder's trace as well; the reader trims values as NATS does.
      const expected = (message.headers ?? []).map((line) => line.trimEnd());
      expect(lines.map((line) => line.trimEnd())).toEqual([...expected, `x-nats-subject: ${pipeline.subject}`]);
    }
  });

  test("[NATS-11] the copy of a requeued job has RoadRunner's body; its headers are merged, not lost", async () => {
    const pipeline = await world.pipeline({ stream: "golden-rq", subject: "golden-rq" }, { pipeline: "p-nats-rq" });
    const { job, copy } = goldenCopy("requeue: answer 4, headers, no delay");
    await pipeline.driver.push(job);
    await pipeline.resume();
    const first = await pipeline.sink.delivery(0);

    await pipeline.sink.settle(first, { t: "requeue", headers: { ...first.job.headers, x: ["1"] }, delayMs: 0 });

    const second = await pipeline.sink.delivery(1);
    expect({ ...second.job.headers }).toEqual({ a: ["1"], x: ["1"], "x-nats-subject": ["golden-rq"] });
    const info = await world.peer.api.streams.info("golden-rq");
    const found = await stored(world, "golden-rq", info.state.last_seq);
    expect(found.data.toString("hex")).toBe(copy.data.hex);
    // The original went with its acknowledgement, as it does with RoadRunner.
    expect(info.state.messages).toBe(1);
    await pipeline.close();
    await world.peer.api.streams.delete("golden-rq");
  });

  test("[NATS-34] a pushed delay is refused with RoadRunner's words where its behaviour is asked for", async () => {
    const pipeline = await world.pipeline({ delayed: "reject" });
    const job = new Job({ id: "1", name: "a", pipeline: pipeline.name, payload: new Uint8Array(1), delaySec: 5 });

    const error = await Promise.resolve(pipeline.driver.push(job)).catch((reason: unknown) => reason);

    const { operations, message } = error as { readonly operations: readonly string[]; readonly message: string };
    expect(`rpc_push:\n\tjobs_plugin_push:\n\t${operations.join(": ")}: ${message}`).toBe(goldenDelayError());
    expect(await world.peer.count(pipeline.stream)).toBe(0);
  });
});
