import { describe, expect, test } from "@jest/globals";
import type { NatsConnection, NatsMessage } from "../../../../src/adapters/nats/nats-connection.ts";
import { PullFetcher } from "../../../../src/adapters/nats/pull-fetcher.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";

/** The server's side of a fetcher, played by the test. */
class World {
  readonly clock = new FakeClock();
  readonly requests: number[] = [];
  readonly received: string[] = [];
  readonly losses: string[] = [];
  credit = 10;
  drained = 0;
  #receive: ((message: NatsMessage) => void) | undefined;
  readonly fetcher = new PullFetcher({
    clock: this.clock,
    stream: "s",
    consumer: "c",
    credit: () => this.credit,
    receive: ({ subject }) => {
      this.credit -= 1;
      this.received.push(subject);
    },
    lost: (reason) => this.losses.push(reason),
  });

  start(): void {
    const connection = {
      openInbox: (receive: (message: NatsMessage) => void) => {
        this.#receive = receive;
        return { subject: "_INBOX.1", drain: () => Promise.resolve(void (this.drained += 1)) };
      },
      send: (_subject: string, body: Uint8Array) => {
        this.requests.push((JSON.parse(Buffer.from(body).toString()) as { readonly batch: number }).batch);
      },
    };
    this.fetcher.start(connection as unknown as NatsConnection);
  }

  deliver(count: number): void {
    for (let n = 0; n < count; n++) this.#say({ subject: "jobs", reply: "$JS.ACK", status: 0 });
  }

  tell(status: number, description = "", left?: number): void {
    const headers = left === undefined ? undefined : new Map([["Nats-Pending-Messages", [left.toString()]]]);
    this.#say({ status, description, headers });
  }

  /** Credit came back. */
  giveBack(count: number): void {
    this.credit += count;
    this.fetcher.refill();
    this.clock.advance(1);
  }

  #say(fields: Partial<NatsMessage>): void {
    const empty = { subject: "", reply: "", data: new Uint8Array(0), headers: undefined, status: 0, description: "" };
    this.#receive?.({ ...empty, ...fields });
  }
}

describe("PullFetcher", () => {
  test("asks for what there is credit for, and for no more while that is on its way", () => {
    const world = new World();
    world.start();
    world.fetcher.refill();
    world.clock.advance(1);

    expect(world.requests).toEqual([10]);
  });

  test("asks for credit that comes back together, once it is worth a request", () => {
    const world = new World();
    world.start();
    world.deliver(10);
    world.clock.advance(1);
    expect(world.requests).toEqual([10]);

    world.credit += 1;
    world.fetcher.refill();
    world.credit += 3;
    world.fetcher.refill();
    world.clock.advance(1);

    expect(world.requests).toEqual([10, 4]);
    world.giveBack(2);
    expect(world.requests).toEqual([10, 4]);
    world.giveBack(2);
    expect(world.requests).toEqual([10, 4, 4]);
  });

  test("asks again for what a request that ended had left", () => {
    const world = new World();
    world.start();
    world.deliver(3);

    world.tell(408, "Request Timeout", 7);
    world.clock.advance(1);

    expect(world.requests).toEqual([10, 7]);
  });

  test.each([
    [503, ""],
    [409, "Consumer Deleted"],
  ])("a consumer that is gone (%p %s) is told once, and not asked again", (status, description) => {
    const world = new World();
    world.start();

    world.tell(status, description);
    world.fetcher.refill();
    world.clock.advance(60_000);

    expect(world.losses).toHaveLength(1);
    expect([world.requests, world.drained, world.fetcher.fetching]).toEqual([[10], 1, false]);
  });

  test("a consumer that sends no sign of life is told; one that does is not", () => {
    const world = new World();
    world.start();
    for (let n = 0; n < 5; n++) {
      world.clock.advance(5000);
      world.tell(100, "Idle Heartbeat");
    }
    expect(world.losses).toEqual([]);

    world.clock.advance(20_000);

    expect(world.losses).toEqual(["the consumer sends no sign of life"]);
  });

  test("after a change of the leader it asks for everything again, with a pause", () => {
    const world = new World();
    world.start();

    world.tell(409, "Leadership Change");
    expect(world.requests).toEqual([10]);
    world.clock.advance(250);
    world.clock.advance(1);

    expect(world.requests).toEqual([10, 10]);
  });

  test("stopped, it waits for what is on its way and asks for nothing more", async () => {
    const world = new World();
    world.start();

    await world.fetcher.stop();
    world.giveBack(5);

    expect([world.drained, world.requests, world.fetcher.fetching, world.clock.pendingTimers]).toEqual([
      1,
      [10],
      false,
      0,
    ]);
  });
});
