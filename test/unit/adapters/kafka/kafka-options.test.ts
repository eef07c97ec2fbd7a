import { describe, expect, test } from "@jest/globals";
import { parseKafkaOptions, type KafkaOptions } from "../../../../src/adapters/kafka/kafka-options.ts";
import type { OptionMap } from "../../../../src/adapters/kafka/option-section.ts";
import { CAN_WRITE_ZSTD } from "../../../../src/adapters/kafka/producer-options.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";

const BROKERS = { brokers: ["127.0.0.1"] };

function fromFile(config: OptionMap, section: OptionMap = BROKERS): KafkaOptions {
  return parseKafkaOptions(aPipeline({ driver: "kafka", settings: new PipelineSettings({ config }) }), section);
}

function declared(options: OptionMap, section: OptionMap = BROKERS): KafkaOptions {
  const settings = new PipelineSettings(options);
  return parseKafkaOptions(aPipeline({ driver: "kafka", settings, origin: "declared" }), section);
}

const consuming = (more: OptionMap): OptionMap => ({ consumer_options: { topics: ["t"], ...more } });

describe("options of a kafka pipeline", () => {
  test("RoadRunner's defaults hold where nothing is said", () => {
    const options = fromFile(consuming({}));

    expect(options.connection).toMatchObject({
      brokers: ["127.0.0.1:9092"],
      connectTimeoutMs: 10_000,
      pingTimeoutMs: 10_000,
    });
    expect(options.producer).toEqual({
      idempotent: true,
      acks: -1,
      maxMessageBytes: 1_000_012,
      requestTimeoutMs: 10_000,
      deliveryTimeoutMs: Infinity,
      codec: "snappy",
      partitioning: "Uniform",
    });
    expect(options.consumer).toMatchObject({
      subscription: { t: "topics", topics: ["t"] },
      groupId: "",
      start: { type: "AtStart", value: 0 },
      timing: { sessionTimeoutMs: 45_000, rebalanceTimeoutMs: 60_000, heartbeatMs: 3000 },
    });
    expect(options.autoCreateTopics).toBe(false);
  });

  test("[KAFKA-7] a pipeline's brokers replace the section's, and its sasl is merged key by key", () => {
    const section = { brokers: ["a:1"], sasl: { mechanism: "plain", username: "u", password: "p" } };

    const options = fromFile({ brokers: ["b:2", "c"], sasl: { password: "own" } }, section);

    expect(options.connection.brokers).toEqual(["b:2", "c:9092"]);
    expect(options.connection.sasl).toMatchObject({ t: "plain", username: "u", password: "own" });
  });

  test("[KAFKA-4] what the PHP client sends is taken: texts, durations, lists for partitions, null", () => {
    const options = declared({
      name: "n",
      driver: "kafka",
      priority: "10",
      auto_create_topics_enable: "true",
      producer_options:
        '{"disable_idempotent":false,"required_acks":"AllISRAck","request_timeout":"30s","delivery_timeout":"0s"}',
      consumer_options: '{"topics":[],"consume_partitions":{"Foo":[{"type":"AtEnd"},{"type":"At","value":7}]}}',
      group_options: "null",
    });

    expect(options.producer).toMatchObject({ requestTimeoutMs: 30_000, deliveryTimeoutMs: Infinity });
    expect(options.autoCreateTopics).toBe(true);
    expect(options.consumer?.subscription).toEqual({
      t: "partitions",
      partitions: new Map([
        [
          "Foo",
          new Map([
            [0, { type: "AtEnd", value: 0 }],
            [1, { type: "At", value: 7 }],
          ]),
        ],
      ]),
    });
  });

  test("a bare number is nanoseconds in JSON, and refused in a file, where it is a mistake", () => {
    expect(declared({ producer_options: '{"request_timeout":5000000000}' }).producer.requestTimeoutMs).toBe(5000);
    expect(() => fromFile({ producer_options: { request_timeout: 10 } })).toThrow(
      /request_timeout: expected a duration/,
    );
  });

  test("sasl_options replace the section's sasl in Declare, and lie over it in a file", () => {
    const section = { ...BROKERS, sasl: { mechanism: "plain", username: "u", password: "p" } };

    const scram = '{"mechanism":"SCRAM-SHA-512","username":"v","password":"q","nonce":"AQI="}';
    expect(declared({ sasl_options: scram }, section).connection.sasl).toMatchObject({
      t: "scram",
      digest: "sha512",
      username: "v",
      nonce: Buffer.from([1, 2]),
    });
    expect(fromFile({ sasl_options: { username: "w" } }, section).connection.sasl).toMatchObject({
      username: "w",
      password: "p",
    });
  });

  test.each<[string, OptionMap, string]>([
    ["no brokers", { brokers: [] }, "config erroneously has no seed brokers"],
    ["acks", { producer_options: { required_acks: "Some" } }, "unknown ACK option provided: Some"],
    ["partitioning", { producer_options: { partitioning_strategy: "Any" } }, "unknown partitioning strategy: Any"],
    ["a small batch", { producer_options: { max_message_bytes: 511 } }, "max_message_bytes"],
    ["a batch beyond 1 GiB", { producer_options: { max_message_bytes: 2 ** 30 + 1 } }, "max_message_bytes"],
    ["a short request", { producer_options: { request_timeout: "50ms" } }, "at least 100ms"],
    ["a short delivery", { producer_options: { delivery_timeout: "500ms" } }, "at least 1s"],
    ["a long transaction", { producer_options: { transaction_timeout: "600h" } }, "transaction_timeout"],
    ["transactions", { producer_options: { transactional_id: "x" } }, "transactions are not supported"],
    [
      "nothing to consume",
      { consumer_options: { min_fetch_message_size: 1 } },
      "topics and consume partitions should not be empty for the consumer",
    ],
    [
      "a negative partition",
      { consumer_options: { consume_partitions: { t: { "-1": { type: "At" } } } } },
      "at least 0",
    ],
    [
      "an offset of a partition",
      { consumer_options: { consume_partitions: { t: { 0: { type: "Now" } } } } },
      "unknown type: Now",
    ],
    [
      "partitions in a group",
      { consumer_options: { consume_partitions: { t: { 0: { type: "At" } } } }, group_options: { group_id: "g" } },
      "invalid direct-partition consuming option when consuming as a group",
    ],
    ["a pattern", consuming({ topics: ["a["], consume_regexp: true }), 'invalid regular expression "a["'],
    ["no group id", { ...consuming({}), group_options: { instance_id: "i" } }, "no group ID defined for group options"],
    ["a mechanism", { sasl: { mechanism: "PLAIN" } }, "unknown SASL authorization mechanism: PLAIN"],
    ["half a key pair", { tls: { cert: "c.pem" } }, "key and cert belong together"],
    ["an isolation level", consuming({ isolation_level: "none" }), "read_committed or read_uncommitted"],
    ["a map that is none", { group_options: "group" }, "expected the JSON text of a map"],
  ])("[KAFKA-5] %s that can not be used is an error with its key", (_, config, text) => {
    expect(() => fromFile(config)).toThrow(text);
  });

  test("zstd is refused where this Node can not write it", () => {
    const parse = (): string => fromFile({ producer_options: { compression_codec: "zstd" } }).producer.codec;

    if (CAN_WRITE_ZSTD) expect(parse()).toBe("zstd");
    else expect(parse).toThrow("zstd can be written from Node 22.15 on");
  });

  test.each<[string, OptionMap, string]>([
    ["an unknown codec", { producer_options: { compression_codec: "brotli" } }, "producer_options.compression_codec"],
    [
      "an unknown offset type",
      consuming({ consumer_offset: { type: "Now" } }),
      "consumer_options.consumer_offset.type",
    ],
    [
      "partitions beside topics",
      consuming({ consume_partitions: { t: { 0: { type: "At" } } } }),
      "consumer_options.consume_partitions",
    ],
    ["an unknown key", { producer_options: { linger: "5ms" } }, "producer_options.linger"],
    [
      "static membership",
      { ...consuming({}), group_options: { group_id: "g", instance_id: "i" } },
      "group_options.instance_id",
    ],
    [
      "a blocked rebalance",
      { ...consuming({}), group_options: { group_id: "g", block_rebalance_on_poll: true } },
      "group_options.block_rebalance_on_poll",
    ],
    ["no group", consuming({}), "consumer_options.topics"],
    ["a client_auth_type", { tls: { client_auth_type: "no_client_cert" } }, "tls.client_auth_type"],
    [
      "a transaction timeout",
      { producer_options: { transaction_timeout: "40s" } },
      "producer_options.transaction_timeout",
    ],
  ])("[KAFKA-5] %s is reported with its key and stops nothing", (_, config, key) => {
    const { warnings } = fromFile(config);

    expect(warnings.filter((warning) => warning.startsWith(`${key}: `))).toHaveLength(1);
  });

  test("[KAFKA-8] LeaderAck without disable_idempotent pushes without idempotence, with a warning", () => {
    const { producer, warnings } = fromFile({ producer_options: { required_acks: "LeaderAck" } });

    expect(producer).toMatchObject({ acks: 1, idempotent: false });
    expect(warnings).toEqual([expect.stringContaining("producer_options.required_acks")]);
  });

  test("tls is on with any of its keys, or empty, and off without", () => {
    expect(fromFile({}).connection.tls).toBeUndefined();
    expect(fromFile({ tls: {} }).connection.tls).toEqual({ key: "", cert: "", rootCa: "" });
    expect(fromFile({ tls: { enabled: false } }).connection.tls).toBeUndefined();
  });
});
