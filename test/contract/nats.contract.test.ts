import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { NatsDriverFactory } from "../../src/adapters/nats/nats-driver-factory.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import type { DriverHarness, DriverPlace } from "../../src/driver-kit/harness.ts";
import { testDriver } from "../../src/driver-kit/kit.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker, uniqueName } from "../support/brokers.ts";
import { NatsPeer, serverOptions } from "../support/nats-world.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

/** The signs of life of a daemon that is gone are missed after so long. */
const ACK_WAIT_SEC = 3;

describeWithPrivateBroker("nats", "the nats driver", () => {
  let broker: PrivateBroker;
  let peer: NatsPeer;

  beforeAll(async () => {
    broker = await startPrivateBroker("nats");
    peer = await NatsPeer.connect(broker.address);
  }, 300_000);

  afterAll(async () => {
    await peer.close();
    await broker.dispose();
  });

  const harness: DriverHarness = {
    kind: "nats",
    flags: {
      storage: "broker",
      nativeDeadLetter: false,
      retryKeepsHeaders: false,
      ordered: true,
      releaseKeepsOrder: true,
      brokerPriority: false,
      delay: { earlyMs: 0, lateMs: 5000 },
      largestPayloadBytes: 780_000,
      refusedPayloadBytes: 800_000,
      // The counts are RoadRunner's: active is what is delivered, reserved what waits.
      stats: { active: false, delayed: false, reserved: false },
      sharesJobs: true,
      foreignMessages: true,
      afterLostConnection: "valid",
      linkFollowsConnection: true,
      redeliveryMs: ACK_WAIT_SEC * 1000,
      faults: ["cut", "refuse", "stall", "slow", "resetAfter", "restartBroker", "killBroker", "deleteQueue"],
    },
    async place(): Promise<DriverPlace> {
      const proxy = await TcpProxy.listen(broker.address);
      const stream = uniqueName("kit");
      const subject = `${stream}.jobs`;
      const durable = "rr-jobs-kit";
      return {
        createFactory: ({ clock, random, logger, metrics }) =>
          new NatsDriverFactory(serverOptions(proxy.address), false, {
            clock,
            random,
            log: logger,
            metrics,
            ids: new UuidGenerator(),
          }),
        options: { stream, subject, ack_wait: ACK_WAIT_SEC, prefetch: 1000 },
        broker: {
          put: async (body) => {
            await peer.js.publish(subject, body);
          },
          count: async () => {
            const { num_pending, num_ack_pending } = await peer.api.consumers.info(stream, durable);
            return num_pending + num_ack_pending;
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
          heal: () => {
            proxy.restore();
          },
          restartBroker: () => broker.restart(),
          killBroker: async () => {
            await broker.kill();
            await broker.start();
          },
          deleteQueue: async () => {
            await peer.api.streams.delete(stream);
          },
        },
        remove: async () => {
          await peer.api.streams.delete(stream).catch(() => undefined);
          await proxy.close();
        },
      };
    },
  };

  describe("on a server of its own", () => {
    testDriver({ test, expect }, harness, {
      prefixes: {
        "payload-empty": "[JC-2]",
        "payload-all-bytes": "[JC-2]",
        "payload-not-utf8": "[JC-2]",
        "payload-largest": "[JC-2]",
        "life-options-as-text": "[JC-21]",
        "core-fail": "[JC-33]",
        "core-fail-requeue": "[JC-33]",
        "core-nack": "[JC-34]",
        "core-nack-requeue": "[JC-35]",
        "core-requeue-headers": "[JC-35]",
        "failure-attempts": "[JC-41]",
        "failure-auto-ack": "[JC-48]",
      },
      skip: { "push-headers": "NATS carries no header names beyond ASCII and no headers without values" },
    });
  });
});
