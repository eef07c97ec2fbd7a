import type { ConsumeMessage } from "amqplib";
import { describe, expect, test } from "@jest/globals";
import { toJob, toMessage } from "../../src/adapters/amqp/amqp-message.ts";
import { parseAmqpOptions } from "../../src/adapters/amqp/amqp-options.ts";
import { MessageRoutes } from "../../src/adapters/amqp/message-routes.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { Job } from "../../src/domain/job.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeIdGenerator } from "../../src/testing/fake-id-generator.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import {
  bytesOf,
  decodeTable,
  encodeTable,
  type GoldenCase,
  goldenCases,
  type GoldenJob,
  type GoldenPublish,
  typedFields,
} from "./amqp-messages.ts";

interface Pair {
  readonly name: string;
  readonly pushed: GoldenJob;
  readonly published: GoldenPublish;
}

/** 2⁶³ − 1 does not fit into our numbers: such a push is refused before it comes to a driver. */
const TOO_LARGE = "priority 2^63-1";

function pairsOf(golden: GoldenCase): readonly Pair[] {
  const { pushed, published } = golden;
  if (published === undefined) return [];
  if (!Array.isArray(published)) {
    return [{ name: golden.name, pushed: pushed as GoldenJob, published: published as GoldenPublish }];
  }
  const messages = published as readonly GoldenPublish[];
  return (pushed as readonly GoldenJob[]).flatMap((one, index) =>
    messages.slice(index, index + 1).map((message) => ({
      name: `${golden.name} ${index}`,
      pushed: one,
      published: message,
    })),
  );
}

function jobOf({ job, id, payload, headers, options }: GoldenJob): Job {
  const priority = Number(options.priority ?? 0);
  return new Job({
    id,
    name: job,
    pipeline: options.pipeline,
    payload: bytesOf(payload),
    headers: toHeaders(Object.entries(headers)),
    priority: priority === 0 ? 10 : priority,
    delaySec: options.delay ?? 0,
    autoAck: options.auto_ack ?? false,
  });
}

function routes(delayStrategy = "own"): MessageRoutes {
  const settings = { exchange: "golden", queue: "golden", routing_key: "golden", durable: true, exchange_durable: true };
  const { options } = parseAmqpOptions(new PipelineSettings({ ...settings, delay_strategy: delayStrategy }));
  return new MessageRoutes(options, new FakeClock());
}

function read(tableHex: string, body: Buffer): { readonly job: Job; readonly log: FakeLogger } {
  const log = new FakeLogger();
  const message = { content: body, properties: { headers: decodeTable(tableHex) }, fields: {} } as ConsumeMessage;
  return { job: toJob(message, { pipeline: "other", priority: 77, ids: new FakeIdGenerator(), log }), log };
}

const pairs = goldenCases().flatMap(pairsOf);
const republished = goldenCases().flatMap(({ name, pushed, republished: one }) =>
  one == null ? [] : [{ name, pushed: pushed as GoldenJob, published: one }],
);

describe("messages recorded from RoadRunner 2025.1", () => {
  test("there are as many as the recorder made", () => {
    expect([pairs.length, republished.length]).toEqual([21, 4]);
  });

  test.each(pairs.filter(({ name }) => name !== TOO_LARGE))(
    "[AMQP-21] $name: what we write has the same body, properties, and headers, type for type",
    ({ pushed, published }) => {
      const seconds = Number(published.properties.timestamp);

      const { body, properties } = toMessage(jobOf(pushed), { mandatory: false, timestampSec: seconds });

      expect(typedFields(encodeTable(properties.headers as Record<string, unknown>))).toEqual(
        typedFields(published.raw.headerTable),
      );
      expect(body.equals(bytesOf(published.body))).toBe(true);
      const { contentType, deliveryMode, timestamp, ...others } = properties;
      expect({ contentType, deliveryMode, timestamp: String(timestamp) }).toEqual(published.properties);
      expect(Object.keys(others).sort()).toEqual(["headers", "mandatory"]);
    },
  );

  test.each([...pairs, ...republished])(
    "[AMQP-21] $name: what it wrote is read with every field equal",
    ({ pushed, published }) => {
      const expected = jobOf(pushed);
      const { job, log } = read(published.raw.headerTable, bytesOf(published.body));

      expect({ id: job.id, name: job.name, pipeline: job.pipeline, autoAck: job.autoAck }).toEqual({
        id: expected.id,
        name: expected.name,
        pipeline: expected.pipeline,
        autoAck: expected.autoAck,
      });
      expect(job.priority).toBe(expected.priority);
      expect(Buffer.from(job.payload).equals(Buffer.from(expected.payload))).toBe(true);
      const sent = Object.keys(expected.headers).filter((name) => name !== "x-routing-key" && name !== "x");
      for (const name of sent) expect(job.headers[name]).toEqual(expected.headers[name]);
      expect(log.messages("warn")).toEqual([]);
    },
  );

  test("[AMQP-21] a delayed message is read with its delay after the broker added its bookkeeping", () => {
    const delayed = [...pairs, ...republished].filter(({ published }) => published.readBack.raw !== undefined);

    expect(delayed.map(({ name }) => name)).toEqual([
      "delay 5",
      "x-routing-key and delay 3",
      "requeue: answer 4, headers, delay 2",
      "requeue: answer 1 with requeue, headers, delay 2",
      "requeue: answer 3 (nack) with requeue, delay 2",
    ]);
    for (const { published } of delayed) {
      const { job, log } = read(published.readBack.raw?.headerTable ?? "", bytesOf(published.body));
      expect(job.delaySec).toBe(Number(/delayed-(\d+)000\./.exec(published.routingKey)?.[1]));
      expect(job.headers["x-first-death-reason"]).toEqual(["expired"]);
      expect(job.headers["x-death"]).toBeUndefined();
      expect(log.messages("warn")).toEqual([]);
    }
  });

  test("a copy of what it requeued does not carry its bookkeeping on", () => {
    for (const { published } of republished) {
      const { job } = read(published.readBack.raw?.headerTable ?? published.raw.headerTable, Buffer.alloc(0));

      const { properties } = toMessage(job, { mandatory: false, timestampSec: 0 });

      const json = String((properties.headers as Record<string, unknown>)["rr_headers"]);
      const names = Object.keys(JSON.parse(json) as Record<string, unknown>);
      expect(names.filter((name) => name.startsWith("rr_") || name.startsWith("x-"))).toEqual([]);
    }
  });

  test("the routing key of a job is taken from its header as it does it", () => {
    const keys = pairs
      .filter(({ name }) => name.startsWith("x-routing-key with"))
      .map(({ pushed, published }) => [routes().push(jobOf(pushed)).routingKey, published.routingKey]);

    expect(keys).toEqual([
      ["other", "other"],
      ["golden", "golden"],
    ]);
  });

  test("its delay queues are used with its names, arguments and exchange if that is asked for", () => {
    for (const { name, pushed, published, declaredBefore } of goldenCases().filter((one) => one.declaredBefore)) {
      const { delay } = routes("rr").push(jobOf(pushed as GoldenJob));

      const [declared] = declaredBefore ?? [];
      expect([name, delay?.name, delay?.exchange]).toEqual([
        name,
        declared?.queue,
        (published as GoldenPublish).exchange,
      ]);
      const written = typedFields(encodeTable({ ...delay?.arguments }));
      expect(written).toEqual(typedFields(declared?.argumentsHex ?? ""));
    }
  });
});
