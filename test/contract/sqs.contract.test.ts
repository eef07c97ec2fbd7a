import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { SqsDriverFactory } from "../../src/adapters/sqs/sqs-driver-factory.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import type { DriverHarness, DriverPlace } from "../../src/driver-kit/harness.ts";
import { testDriver } from "../../src/driver-kit/kit.ts";
import {
  canStartBroker,
  describeWithBroker,
  type PrivateBroker,
  startPrivateBroker,
  uniqueName,
} from "../support/brokers.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";
import { SqsServer } from "../integration/sqs/sqs-fixture.ts";

/** Short, so that what a consumer that is gone held comes back soon. */
const VISIBILITY_SEC = 5;

describeWithBroker("sqs", "the SQS driver", ({ address }) => {
  const ownBroker = canStartBroker("sqs");
  let broker: PrivateBroker | undefined;

  beforeAll(async () => {
    // Scenarios restart it.
    if (ownBroker) broker = await startPrivateBroker("sqs");
  }, 300_000);

  afterAll(async () => {
    await broker?.dispose();
  }, 60_000);

  async function place(): Promise<DriverPlace> {
    const target = broker?.address ?? address;
    const proxy = await TcpProxy.listen(target);
    const server = new SqsServer(target);
    const queue = uniqueName("kit");
    const access = {
      ...{ key: "kit", secret: "kit", sessionToken: "", region: "us-east-1" },
      endpoint: proxy.through(target),
    };
    return {
      createFactory: ({ clock, random, logger, metrics }) =>
        new SqsDriverFactory(
          { access, environment: {}, delayed: "rearm" },
          { clock, random, ids: new UuidGenerator(), logger, metrics },
        ),
      section: { key: "kit", secret: "kit", region: "us-east-1", endpoint: access.endpoint },
      options: {
        ...{ queue, prefetch: 10, max_messages_in_flight: 1000, wait_time_seconds: 1 },
        visibility_timeout: VISIBILITY_SEC,
        // The kit settles one job after the other: no company to wait for.
        delete_batch_wait_ms: 2,
      },
      broker: {
        put: (body) => server.send(queue, { MessageBody: Buffer.from(body).toString() }),
        count: async () => {
          const { waiting, delayed, invisible } = await server.counts(queue);
          return waiting + delayed + invisible;
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
        deleteQueue: () => server.deleteQueue(queue),
        restartBroker: async () => {
          await broker?.restart();
        },
      },
      remove: async () => {
        await server.deleteQueue(queue).catch(() => undefined);
        await server.close();
        await proxy.close();
      },
    };
  }

  const harness: DriverHarness = {
    kind: "sqs",
    flags: {
      storage: "broker",
      nativeDeadLetter: false,
      retryKeepsHeaders: false,
      nack: "resend",
      ordered: false,
      releaseKeepsOrder: false,
      brokerPriority: false,
      // Whole seconds; a message is due when a poll finds it.
      delay: { earlyMs: 50, lateMs: 8000 },
      payloads: "text",
      largestPayloadBytes: 262_144 - 1024,
      refusedPayloadBytes: 262_145,
      stats: { active: true, delayed: true, reserved: true },
      sharesJobs: true,
      foreignMessages: true,
      // Leases end by time, not with a connection.
      afterLostConnection: "valid",
      linkFollowsConnection: false,
      redeliveryMs: VISIBILITY_SEC * 1000 + 1000,
      faults: [
        ...(["cut", "refuse", "stall", "slow", "resetAfter", "deleteQueue"] as const),
        // Not killed: the test server writes messages to its disk a moment after it has confirmed them.
        ...(ownBroker ? (["restartBroker"] as const) : []),
      ],
    },
    place,
  };

  describe("keeps the driver contract", () => {
    testDriver({ test, expect }, harness, {
      prefixes: {
        "payload-largest": "[JC-2]",
        "push-headers": "[JC-3]",
        "life-options-as-text": "[JC-21]",
        "core-fail": "[JC-33]",
        "core-fail-requeue": "[JC-33]",
        "core-nack-resend": "[JC-34]",
        "core-nack-requeue": "[JC-35]",
        "core-requeue-headers": "[JC-35]",
        "failure-attempts": "[JC-41]",
        "failure-auto-ack": "[JC-48]",
        "connection-requeue-refused": "[JC-38]",
      },
    });
  });
});
