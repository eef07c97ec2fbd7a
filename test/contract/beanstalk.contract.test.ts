import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { BeanstalkDriverFactory } from "../../src/adapters/beanstalk/beanstalk-driver-factory.ts";
import type { DriverFlags, DriverPlace, Faults } from "../../src/driver-kit/harness.ts";
import { testDriver } from "../../src/driver-kit/kit.ts";
import { BeanstalkPeer } from "../support/beanstalk-peer.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker, uniqueName } from "../support/brokers.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

const FLAGS: DriverFlags = {
  storage: "broker",
  nativeDeadLetter: true,
  retryKeepsHeaders: false,
  // The server keeps the order; several connections do not. See below for one.
  ordered: false,
  releaseKeepsOrder: false,
  // The priority of a job orders jobs in the daemon; the server knows that of the tube's pipeline only.
  brokerPriority: false,
  delay: { earlyMs: 0, lateMs: 10_000 },
  largestPayloadBytes: 65_000,
  refusedPayloadBytes: 65_536,
  stats: { active: true, delayed: true, reserved: true },
  sharesJobs: true,
  foreignMessages: true,
  afterLostConnection: "recovered",
  linkFollowsConnection: true,
  redeliveryMs: 30_000,
  faults: ["cut", "refuse", "stall", "slow", "resetAfter", "restartBroker", "killBroker"],
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
  "core-nack-native": "[JC-34]",
  "core-nack-requeue": "[JC-35]",
  "core-requeue-headers": "[JC-35]",
  "failure-attempts": "[JC-41]",
  "failure-auto-ack": "[JC-48]",
  "connection-declared": "[JC-22]",
} as const;

describeWithPrivateBroker("beanstalk", "the Beanstalk driver", () => {
  let broker: PrivateBroker;
  beforeAll(async () => {
    broker = await startPrivateBroker("beanstalk");
  }, 300_000);
  afterAll(() => broker.dispose(), 60_000);

  testDriver(
    { test, expect },
    { kind: "beanstalk", flags: FLAGS, place: () => BeanstalkPlace.create(broker, 400) },
    { prefixes: PREFIXES },
  );

  testDriver(
    { test, expect },
    {
      kind: "beanstalk",
      flags: { ...FLAGS, ordered: true },
      place: () => BeanstalkPlace.create(broker, 1),
    },
    { only: ["push-order", "batch-order", "core-order", "connection-slow-order"] },
  );
});

/** A tube of its own, behind a proxy. */
class BeanstalkPlace implements DriverPlace {
  readonly options: Readonly<Record<string, unknown>>;
  readonly faults: Faults;
  readonly #broker: PrivateBroker;
  readonly #proxy: TcpProxy;
  readonly #tube = uniqueName("kit");

  private constructor(broker: PrivateBroker, proxy: TcpProxy, prefetch: number) {
    this.#broker = broker;
    this.#proxy = proxy;
    this.options = { tube: this.#tube, tube_priority: 10, reserve_timeout: 1, prefetch, ttr: 5 };
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
      deleteQueue: () => Promise.reject(new Error("a tube can not be deleted")),
    };
  }

  static async create(broker: PrivateBroker, prefetch: number): Promise<BeanstalkPlace> {
    return new BeanstalkPlace(broker, await TcpProxy.listen(broker.address), prefetch);
  }

  readonly createFactory: DriverPlace["createFactory"] = ({ clock, random, logger, metrics }) =>
    new BeanstalkDriverFactory(
      { addr: this.#proxy.through(this.#broker.address), timeoutMs: 5000 },
      { clock, random, logger, metrics },
    );

  get broker(): NonNullable<DriverPlace["broker"]> {
    return {
      put: (body) =>
        this.#withPeer(async (peer) => {
          await peer.put(this.#tube, Buffer.from(body));
        }),
      count: () =>
        this.#withPeer(async (peer) => {
          const { ready, reserved, delayed } = await peer.counts(this.#tube);
          return ready + reserved + delayed;
        }),
      deadLetters: () =>
        this.#withPeer(async (peer) => {
          await peer.expect("USING", `use ${this.#tube}`);
          const bodies: Uint8Array[] = [];
          for (;;) {
            const { words, body } = await peer.ask("peek-buried");
            if (words[0] !== "FOUND") return bodies;
            bodies.push(body);
            await peer.expect("DELETED", `delete ${words[1] ?? ""}`);
          }
        }),
    };
  }

  async remove(): Promise<void> {
    await this.#proxy.close();
  }

  /** Past the proxy. */
  async #withPeer<T>(run: (peer: BeanstalkPeer) => Promise<T>): Promise<T> {
    const peer = await BeanstalkPeer.connect(this.#broker.address);
    try {
      return await run(peer);
    } finally {
      peer.close();
    }
  }
}
