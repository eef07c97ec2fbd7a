import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { type ChannelModel, connect } from "amqplib";
import { AmqpDriverFactory } from "../../src/adapters/amqp/amqp-driver-factory.ts";
import { UuidGenerator } from "../../src/adapters/system/uuid.ts";
import type { DriverFlags, DriverHarness, DriverPlace, Faults } from "../../src/driver-kit/harness.ts";
import { testDriver } from "../../src/driver-kit/kit.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker, uniqueName } from "../support/brokers.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const MAX_MESSAGE_BYTES = 4 * 2 ** 20;

const FLAGS: DriverFlags = {
  storage: "broker",
  nativeDeadLetter: false,
  retryKeepsHeaders: true,
  ordered: true,
  releaseKeepsOrder: true,
  // RabbitMQ orders by a property RoadRunner does not write.
  brokerPriority: false,
  delay: { earlyMs: 0, lateMs: 10_000 },
  largestPayloadBytes: MAX_MESSAGE_BYTES,
  refusedPayloadBytes: MAX_MESSAGE_BYTES + 1,
  stats: { active: true, delayed: true, reserved: true },
  sharesJobs: true,
  foreignMessages: true,
  afterLostConnection: "stale",
  linkFollowsConnection: true,
  redeliveryMs: 30_000,
  faults: ["cut", "refuse", "stall", "slow", "resetAfter", "restartBroker", "killBroker", "deleteQueue"],
};

/** The prefixes of the scenarios of the specification, by the keys of the kit. */
const PREFIXES = {
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
  "failure-attempts": "[JC-41] [AMQP-36]",
  "failure-auto-ack": "[JC-48]",
  "core-requeue-counts": "[AMQP-10]",
  "failure-malformed": "[AMQP-17]",
  "outage-at-start": "[AMQP-26]",
  "outage-restart": "[AMQP-22]",
  "outage-queue-deleted": "[AMQP-38]",
  "drain-two-phases": "[AMQP-44]",
} as const;

describeWithPrivateBroker("amqp", "the AMQP driver", () => {
  let broker: PrivateBroker;
  beforeAll(async () => {
    broker = await startPrivateBroker("amqp", { lines: [`max_message_size = ${MAX_MESSAGE_BYTES}`] });
  }, 300_000);
  afterAll(() => broker.dispose(), 60_000);

  testDriver(
    { test, expect },
    harness(() => broker, FLAGS),
    { prefixes: PREFIXES },
  );

  testDriver(
    { test, expect },
    harness(() => broker, { ...FLAGS, nativeDeadLetter: true }),
    {
      only: ["life-capabilities", "settle-dead"],
    },
  );
});

function harness(broker: () => PrivateBroker, flags: DriverFlags): DriverHarness {
  return {
    kind: "amqp",
    flags,
    place: () => AmqpPlace.create(broker(), flags.nativeDeadLetter),
  };
}

/** A queue behind a proxy, with a dead-letter queue if that is wanted. */
class AmqpPlace implements DriverPlace {
  readonly options: Readonly<Record<string, unknown>>;
  readonly faults: Faults;
  readonly #broker: PrivateBroker;
  readonly #proxy: TcpProxy;
  readonly #name = uniqueName("kit");

  private constructor(broker: PrivateBroker, proxy: TcpProxy, deadLetters: boolean) {
    this.#broker = broker;
    this.#proxy = proxy;
    const target = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": this.#dead };
    this.options = {
      exchange: this.#name,
      exchange_durable: true,
      queue: this.#name,
      routing_key: this.#name,
      durable: true,
      prefetch: 1000,
      redial_timeout: 5,
      ...(deadLetters ? { queue_headers: target } : {}),
    };
    this.faults = {
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
      deleteQueue: () =>
        this.#withClient(async (client) => {
          const channel = await client.createChannel();
          await channel.deleteQueue(this.#name);
        }),
    };
  }

  static async create(broker: PrivateBroker, deadLetters: boolean): Promise<AmqpPlace> {
    const place = new AmqpPlace(broker, await TcpProxy.listen(broker.address), deadLetters);
    if (deadLetters) {
      await place.#withClient(async (client) => {
        const channel = await client.createChannel();
        await channel.assertQueue(place.#dead, { durable: true });
      });
    }
    return place;
  }

  readonly createFactory: DriverPlace["createFactory"] = ({ clock, random, logger, metrics }) =>
    new AmqpDriverFactory({
      section: { addr: `${this.#proxy.through(this.#broker.address)}/?heartbeat=5`, tls: undefined },
      clock,
      random,
      metrics,
      log: logger,
      ids: new UuidGenerator(),
    });

  get broker(): NonNullable<DriverPlace["broker"]> {
    return {
      put: (body) =>
        this.#withClient(async (client) => {
          const channel = await client.createConfirmChannel();
          channel.publish(this.#name, this.#name, Buffer.from(body));
          await channel.waitForConfirms();
        }),
      deadLetters: () =>
        this.#withClient(async (client) => {
          const channel = await client.createChannel();
          const payloads: Uint8Array[] = [];
          for (;;) {
            const message = await channel.get(this.#dead, { noAck: true });
            if (message === false) return payloads;
            payloads.push(message.content);
          }
        }),
    };
  }

  async remove(): Promise<void> {
    await this.#proxy.close();
    await this.#withClient(async (client) => {
      const channel = await client.createChannel();
      await channel.deleteQueue(this.#name);
      await channel.deleteQueue(this.#dead);
      await channel.deleteExchange(this.#name);
    });
  }

  get #dead(): string {
    return `${this.#name}-dead`;
  }

  /** Past the proxy. */
  async #withClient<T>(run: (client: ChannelModel) => Promise<T>): Promise<T> {
    const client = await connect(this.#broker.address);
    client.on("error", () => undefined);
    try {
      return await run(client);
    } finally {
      await client.close();
    }
  }
}
