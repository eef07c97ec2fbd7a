import { describe, expect, test } from "@jest/globals";
import { AmqpDriverFactory } from "../../../../src/adapters/amqp/amqp-driver-factory.ts";
import { parseAmqpOptions } from "../../../../src/adapters/amqp/amqp-options.ts";
import { parseSection } from "../../../../src/adapters/amqp/amqp-address.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeIdGenerator } from "../../../../src/testing/fake-id-generator.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../../src/testing/fake-metrics.ts";
import { FakeRandom } from "../../../../src/testing/fake-random.ts";
import { FakeSink } from "../../../../src/testing/fake-sink.ts";

function parse(config: Readonly<Record<string, unknown>>): ReturnType<typeof parseAmqpOptions> {
  return parseAmqpOptions(new PipelineSettings({ config }));
}

describe("options of an AMQP pipeline", () => {
  test("[AMQP-2] flat and nested options mean the same", () => {
    const flat = {
      exchange: "e",
      exchange_type: "topic",
      exchange_durable: true,
      exchange_auto_delete: true,
      queue: "q",
      routing_key: "k",
      durable: true,
      queue_auto_delete: true,
      exclusive: true,
      delete_queue_on_stop: true,
      requeue_on_fail: true,
      consumer_id: "c",
      queue_headers: { "x-max-length": 5 },
      prefetch: 7,
    };
    const nested = {
      version: 2,
      exchange: { name: "e", type: "topic", durable: true, auto_delete: true },
      queue: {
        name: "q",
        routing_key: "k",
        durable: true,
        auto_delete: true,
        exclusive: true,
        delete_on_stop: true,
        requeue_on_fail: true,
        consumer_id: "c",
        headers: { "x-max-length": 5 },
      },
      prefetch: 7,
    };

    expect(parse(nested)).toEqual(parse(flat));
  });

  test.each([
    [{ version: 2 }, "exchange or queue configuration is required for AMQP config version 2"],
    [{ version: 99, routing_key: "k" }, "unsupported AMQP pipeline config version: 99"],
    [{ queue: "q" }, "empty routing key, consider adding the routing key name to the AMQP configuration"],
    [
      { exchange_type: "x", routing_key: "k" },
      'invalid exchange type "x", must be one of: direct, fanout, topic, headers',
    ],
    [{ queue: { name: "q" }, routing_key: "k" }, "option queue: a map is the form of version 2"],
    [{ prefetch: 70_000, routing_key: "k" }, "option prefetch: expected an integer"],
    [{ exchange: "amq.mine", routing_key: "k" }, 'names that begin with "amq." belong to the broker'],
    [{ routing_key: "k", queue_headers: { "x-queue-type": "quorum" } }, "durable: true is needed"],
    [{ routing_key: "k", queue_headers: { a: { b: 1 } } }, "option queue_headers.a: expected a text, a number"],
  ])("[AMQP-3] %j is refused with a text that says what to change", (config, text) => {
    expect(() => parse(config)).toThrow(text);
  });

  test("[AMQP-3] a fanout exchange needs no routing key", () => {
    expect(parse({ exchange_type: "fanout" }).options.queue.routingKey).toBe("");
  });

  test.each(["[]", "null", "", undefined])("[AMQP-41] queue_headers %j are no arguments", (value) => {
    expect({ ...parse({ routing_key: "k", queue_headers: value }).options.queue.arguments }).toEqual({});
  });

  test("flat options beside version 2, and unknown nested ones, are told", () => {
    const { warnings } = parse({ version: 2, queue: { name: "q", routing_key: "k", nmae: 1 }, durable: true });

    expect(warnings).toEqual([
      "queue.nmae: unknown option is ignored",
      "durable: has no effect with version 2, write it inside exchange or queue",
    ]);
  });
});

describe("section amqp", () => {
  test.each([
    [{ addr: "http://x" }, "amqp.addr: unknown scheme http://"],
    [{ addr: "amqp://x?heartbeat=soon" }, "heartbeat must be a whole number"],
    [{ addr: "amqp://x", rootCa: "/ca" }, "write amqps:// or remove the section"],
    [{ addr: "amqps://x", key: "/key" }, "key and cert are needed together"],
    [{ addr: "amqps://x", rootCa: "/absent" }, "root ca file '/absent' does not exist"],
  ])("%j is refused with a text that says what to change", ({ addr, ...files }, text) => {
    const tls =
      Object.keys(files).length === 0 ? undefined : { key: "", cert: "", rootCa: "", clientAuthType: "", ...files };

    expect(() => parseSection({ addr, tls })).toThrow(text);
  });

  test("an address has the defaults of the original", () => {
    expect(parseSection({ addr: "amqp://", tls: undefined }).url).toMatchObject({
      host: "localhost",
      port: 5672,
      vhost: "/",
      user: "guest",
      password: "guest",
      mechanism: "PLAIN",
    });
    expect(parseSection({ addr: "amqp://u:p%40@h:1/a%2Fb?auth_mechanism=external", tls: undefined }).url).toMatchObject(
      {
        host: "h",
        port: 1,
        vhost: "a/b",
        password: "p@",
        mechanism: "EXTERNAL",
      },
    );
  });

  test("[AMQP-19] without the section a pipeline is refused as the original refuses it", async () => {
    const factory = new AmqpDriverFactory({
      section: undefined,
      clock: new FakeClock(),
      random: new FakeRandom(),
      ids: new FakeIdGenerator(),
      log: new FakeLogger(),
      metrics: new FakeMetrics(),
    });
    const context = { pipeline: aPipeline({ name: "p", driver: "amqp" }), sink: new FakeSink(), timeoutMs: 1000 };

    await expect(factory.create(context, new AbortController().signal)).rejects.toThrow(
      "no constructor registered for driver: amqp, pipeline: p",
    );
  });
});
