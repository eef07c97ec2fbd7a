import { describe, expect, test } from "@jest/globals";
import { KafkaFault, type KafkaProducer, type OutgoingRecord } from "../../../../src/adapters/kafka/kafka-session.ts";
import { TopicLane } from "../../../../src/adapters/kafka/topic-lane.ts";
import { PipelineStateError } from "../../../../src/domain/errors.ts";
import { FakeClock, settled } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";

type Send = (records: readonly OutgoingRecord[]) => Promise<void>;

/** A lane whose producers are played: what each is sent, and what it answers. */
class LaneWorld {
  readonly clock = new FakeClock();
  /** Keys of each batch, by producer. */
  readonly sent: string[][][] = [];
  readonly destroyed = new Set<number>();
  readonly results = new Map<string, string>();
  readonly lane: TopicLane;
  send: Send = () => Promise.resolve();

  constructor() {
    this.lane = new TopicLane({
      topic: "t",
      maxBatchBytes: 1000,
      clock: this.clock,
      log: new FakeLogger(),
      openProducer: () => this.#open(),
      newBatch: () => undefined,
      report: () => undefined,
    });
  }

  push(key: string, bytes = 100, timeoutMs = 5000): void {
    const record = {
      key: Buffer.from(key),
      value: Buffer.alloc(0),
      headers: {},
      wanted: 0,
      partition: 0,
      partitions: 1,
    };
    const done = (error: Error | undefined, unknown: boolean): void => {
      this.results.set(key, error === undefined ? "stored" : `${error.name}${unknown ? " (unknown)" : ""}`);
    };
    const deadlineMs = this.clock.elapsedMs() + timeoutMs;
    this.lane.push({ record, bytes, timeoutMs, deadlineMs, done, answered: false });
  }

  #open(): KafkaProducer {
    const batches: string[][] = [];
    const number = this.sent.push(batches) - 1;
    return {
      send: (_, records) => {
        batches.push(records.map(({ key }) => key.toString()));
        return this.send(records);
      },
      close: () => Promise.resolve(),
      destroy: () => void this.destroyed.add(number),
    };
  }
}

const fault = (kind: KafkaFault["kind"], code = ""): KafkaFault => new KafkaFault(kind, code, new Error(kind));

describe("TopicLane", () => {
  test("what comes while a batch is under way makes the next one, in order", async () => {
    const world = new LaneWorld();
    let answer: () => void = () => undefined;
    world.send = () => new Promise((resolve) => (answer = resolve));

    world.push("a");
    world.push("b");
    await settled();
    for (const key of ["c", "d", "e"]) world.push(key);
    await settled();
    answer();
    await settled();
    answer();
    await settled();

    expect(world.sent).toEqual([
      [
        ["a", "b"],
        ["c", "d", "e"],
      ],
    ]);
    expect([...world.results.values()]).toEqual(["stored", "stored", "stored", "stored", "stored"]);
  });

  test("a batch ends where its size would be too large", async () => {
    const world = new LaneWorld();

    for (const key of ["a", "b", "c"]) world.push(key, 400);
    await settled();

    expect(world.sent).toEqual([[["a", "b"], ["c"]]]);
  });

  test("a batch is repeated unchanged, by the same producer, until it is acknowledged", async () => {
    const world = new LaneWorld();
    let tries = 0;
    world.send = () => (++tries < 4 ? Promise.reject(fault(tries === 2 ? "busy" : "unreachable")) : Promise.resolve());

    world.push("a");
    await settled();
    world.push("b");
    await world.clock.advanceAsync(1000);

    expect(world.sent).toEqual([[["a"], ["a"], ["a"], ["a"], ["b"]]]);
    expect(world.destroyed.size).toBe(0);
  });

  test("[KAFKA-21] a producer the broker knows no more is replaced, and the batch is sent by the next", async () => {
    const world = new LaneWorld();
    world.send = () =>
      world.sent.length === 1 ? Promise.reject(fault("producer_state", "UNKNOWN_PRODUCER_ID")) : Promise.resolve();

    world.push("a");
    await settled();

    expect(world.sent).toEqual([[["a"]], [["a"]]]);
    expect([...world.destroyed]).toEqual([0]);
    expect(world.results.get("a")).toBe("stored");
  });

  test("of a batch that is too large only the record that is, fails", async () => {
    const world = new LaneWorld();
    world.send = (records) =>
      records.some(({ key }) => key.toString() === "large")
        ? Promise.reject(fault("too_large", "MESSAGE_TOO_LARGE"))
        : Promise.resolve();

    for (const key of ["a", "large", "b", "c"]) world.push(key);
    // Halves, and halves of halves.
    for (let depth = 0; depth < 4; depth++) await settled();

    expect(Object.fromEntries(world.results)).toEqual({
      a: "stored",
      large: "InvalidJobError",
      b: "stored",
      c: "stored",
    });
    expect(world.destroyed.size).toBe(0);
  });

  test("after its deadline a push fails, its batch is given up with its producer, and the next has a new one", async () => {
    const world = new LaneWorld();
    world.send = () => new Promise(() => undefined);
    world.push("underway");
    await settled();
    world.push("waiting", 100, 4000);

    await world.clock.advanceAsync(4500);
    const early = Object.fromEntries(world.results);
    world.send = () => Promise.resolve();
    await world.clock.advanceAsync(600);
    world.push("next");
    await settled();

    expect(early).toEqual({});
    expect(Object.fromEntries(world.results)).toEqual({
      underway: "DeadlineExceededError (unknown)",
      waiting: "DeadlineExceededError",
      next: "stored",
    });
    expect([...world.destroyed]).toEqual([0]);
  });

  test("a cluster that is not reached is named as the reason", async () => {
    const world = new LaneWorld();
    world.send = () => Promise.reject(fault("unreachable"));

    world.push("a");
    await world.clock.advanceAsync(6000);

    expect(world.results.get("a")).toBe("DriverUnavailableError (unknown)");
  });

  test("a record for a partition that does not exist fails alone", async () => {
    const world = new LaneWorld();
    world.send = (records) => {
      for (const record of records) if (record.key.toString() === "b") record.partition = -1;
      return Promise.resolve();
    };

    world.push("a");
    world.push("b");
    await settled();

    expect(Object.fromEntries(world.results)).toEqual({ a: "stored", b: "InvalidJobError" });
  });

  test("closing fails what waits and what is under way", async () => {
    const world = new LaneWorld();
    world.send = () => new Promise(() => undefined);
    world.push("underway");
    await settled();
    world.push("waiting");

    await world.lane.close(new PipelineStateError("closed"));

    expect(Object.fromEntries(world.results)).toEqual({
      waiting: "PipelineStateError",
      underway: "PipelineStateError (unknown)",
    });
  });
});
