import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { KafkaDriverFactory } from "../../src/adapters/kafka/kafka-driver-factory.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import type { DriverHarness, DriverPlace } from "../../src/driver-kit/harness.ts";
import { testDriver } from "../../src/driver-kit/kit.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker, uniqueName } from "../support/brokers.ts";
import { KafkaWorld } from "../support/kafka-world.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const START_LIMIT_MS = 300_000;

/** Short, so that the jobs of a consumer that is gone do not wait long for the next one. */
const SESSION_MS = 3000;

let broker: PrivateBroker;
let proxy: TcpProxy;
/** Past the proxy. */
let world: KafkaWorld;

const flags = {
  storage: "broker",
  nativeDeadLetter: false,
  retryKeepsHeaders: true,
  ordered: true,
  releaseKeepsOrder: true,
  brokerPriority: false,
  delay: { earlyMs: 0, lateMs: 10_000 },
  largestPayloadBytes: 900_000,
  refusedPayloadBytes: 1_100_000,
  stats: { active: true, delayed: true, reserved: true },
  // A partition belongs to one consumer at a time; a place has one, so that there is an order to look at.
  sharesJobs: false,
  foreignMessages: true,
  afterLostConnection: "valid",
  linkFollowsConnection: true,
  redeliveryMs: 30_000,
  faults: ["cut", "refuse", "stall", "slow", "resetAfter", "restartBroker", "killBroker"],
} as const;

const harness: DriverHarness = {
  kind: "kafka",
  flags,
  // Without a dead letter topic: given-up jobs go to the failed store.
  async place(): Promise<DriverPlace> {
    const topic = await world.topic(1);
    const group = uniqueName("g");
    return {
      createFactory: ({ clock, random, logger, metrics, section }) =>
        new KafkaDriverFactory(section, { clock, random, logger, metrics, ids: new UuidGenerator(), strict: false }),
      section: { brokers: [proxy.address], ping: { timeout: "5s" } },
      options: {
        consumer_options: { topics: [topic], commit_interval: "100ms" },
        group_options: { group_id: group, session_timeout: `${SESSION_MS}ms`, rebalance_timeout: "10s" },
      },
      broker: {
        put: (body) => world.produce(topic, [{ value: Buffer.from(body) }]),
        async count() {
          const [end] = await (await world.admin()).fetchTopicOffsets(topic);
          const committed = (await world.committed(group, topic)).get(0) ?? -1;
          return Number(end?.high ?? 0) - Math.max(committed, Number(end?.low ?? 0));
        },
      },
      faults: {
        cut: () => {
          proxy.cut();
        },
        refuse: () => {
          proxy.refuse();
        },
        stall: () => {
          proxy.stall();
        },
        slow: (delayMs) => {
          proxy.slow(delayMs);
        },
        resetAfter: (bytes) => {
          proxy.resetAfter(bytes);
        },
        restartBroker: () => broker.restart(),
        async killBroker() {
          await broker.kill();
          await broker.start();
        },
        heal: () => {
          proxy.restore();
        },
      },
      remove: () => Promise.resolve(),
    };
  },
};

describeWithPrivateBroker("kafka", "the kafka driver", () => {
  beforeAll(async () => {
    // The address clients are told has to be the proxy's, which is known before the broker is.
    proxy = await TcpProxy.listen("127.0.0.1:1");
    broker = await startPrivateBroker("kafka", {
      lines: [
        "listeners=PLAINTEXT://127.0.0.1:@PORT@,PROXY://127.0.0.1:@TLS_PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@",
        `advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,PROXY://${proxy.address}`,
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXY:PLAINTEXT",
        "group.min.session.timeout.ms=1000",
      ],
    });
    proxy.retarget(`127.0.0.1:${await broker.port("tls")}`);
    world = new KafkaWorld(broker.address);
  }, START_LIMIT_MS);

  afterAll(async () => {
    await world.dispose();
    await proxy.close();
    await broker.dispose();
  }, START_LIMIT_MS);

  testDriver({ test, expect }, harness, {
    prefixes: {
      "payload-empty": "[JC-2]",
      "payload-all-bytes": "[JC-2]",
      "payload-not-utf8": "[JC-2]",
      "payload-largest": "[JC-2]",
      "push-headers": "[JC-3]",
      "life-options-as-text": "[JC-21]",
      "core-fail": "[JC-33]",
      "core-fail-requeue": "[JC-33]",
      "core-nack": "[JC-34]",
      "core-nack-requeue": "[JC-35]",
      "core-requeue-headers": "[JC-35]",
      "failure-attempts": "[JC-41]",
      "failure-auto-ack": "[JC-48]",
    },
  });
});
