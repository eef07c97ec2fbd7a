import { describe, expect, test } from "@jest/globals";
import { type IntakeActions, KafkaIntake } from "../../../../src/adapters/kafka/kafka-intake.ts";
import type { FetchedBatch, FetchedRecord } from "../../../../src/adapters/kafka/kafka-session.ts";
import type { PartitionTracker } from "../../../../src/adapters/kafka/partition-tracker.ts";
import { ACK, RELEASE } from "../../../../src/domain/delivery.ts";
import type { Job } from "../../../../src/domain/job.ts";
import { FakeClock, settled } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeSink } from "../../../../src/testing/fake-sink.ts";

interface Copy {
  readonly job: Job;
  readonly delayMs: number;
}

/** An intake without a cluster: fetches are given to it, copies are remembered. */
class IntakeWorld {
  readonly clock = new FakeClock();
  readonly sink: FakeSink;
  readonly logger = new FakeLogger();
  readonly copies: Copy[] = [];
  readonly paused = new Set<PartitionTracker>();
  readonly intake: KafkaIntake;
  lost = 0;
  copy: () => Promise<void> = () => Promise.resolve();

  constructor(window = 10_000, credit = Infinity) {
    this.sink = new FakeSink(credit);
    const actions: IntakeActions = {
      finished: () => undefined,
      pauseFetch: (tracker) => void this.paused.add(tracker),
      resumeFetch: (tracker) => void this.paused.delete(tracker),
      copy: (job, delayMs) => {
        this.copies.push({ job, delayMs });
        return this.copy();
      },
      bury: () => Promise.resolve(),
      lost: (records) => void (this.lost += records),
    };
    const { clock, sink, logger: log } = this;
    this.intake = new KafkaIntake({ pipeline: "orders", priority: 10, window, sink, clock, log, actions });
    this.intake.open = true;
  }

  record(offset: number, delaySec = 0): FetchedRecord {
    return {
      key: Buffer.from(`id-${offset}`),
      value: Buffer.from("x"),
      timestamp: this.clock.nowMs().toString(),
      offset: offset.toString(),
      headers: delaySec === 0 ? {} : { rr_delay: Buffer.from(delaySec.toString()) },
    };
  }

  fetch(records: readonly FetchedRecord[], partition = 0): Promise<void> | undefined {
    const batch: FetchedBatch = {
      topic: "t",
      partition,
      records,
      highWatermark: 100,
      isStale: () => false,
      resolve: () => undefined,
    };
    return this.intake.received(batch);
  }

  places(): readonly string[] {
    return this.sink.entries.map(({ delivery }) => delivery.job.id);
  }
}

describe("KafkaIntake", () => {
  test("[KAFKA-29] a delay of ten minutes is written anew after one, with the rest of it, and its offset is free", async () => {
    const world = new IntakeWorld();
    const tracker = world.intake.own("t", 0);

    void world.fetch([world.record(0, 600), world.record(1)]);
    await (world.sink.at(0).settle(ACK) ?? Promise.resolve());
    const held = tracker.base;
    await world.clock.advanceAsync(60_000);

    expect(world.places()).toEqual(["id-1"]);
    expect(held).toBe(0);
    expect(world.copies.map(({ job, delayMs }) => [job.id, delayMs])).toEqual([["id-0", 540_000]]);
    expect(tracker.base).toBe(2);
  });

  test("a delayed record that can not be written anew waits here and is tried again, and runs when it is due", async () => {
    const world = new IntakeWorld();
    const tracker = world.intake.own("t", 0);
    world.copy = () => Promise.reject(new Error("away"));

    void world.fetch([world.record(0, 62)]);
    await world.clock.advanceAsync(61_000);
    const early = world.places();
    await world.clock.advanceAsync(10_000);

    expect(early).toEqual([]);
    expect(world.places()).toEqual(["id-0"]);
    expect(tracker.base).toBe(0);
  });

  test("while a partition's window is half full a delay is held for five seconds only", async () => {
    const world = new IntakeWorld(4);
    world.intake.own("t", 0);

    void world.fetch([world.record(0), world.record(1), world.record(2, 600)]);
    await world.clock.advanceAsync(5000);

    expect(world.copies.map(({ delayMs }) => delayMs)).toEqual([595_000]);
  });

  test("partitions are served in turn", () => {
    const world = new IntakeWorld(100, 0);
    world.intake.own("t", 0);
    world.intake.own("t", 1);
    void world.fetch(
      [0, 1, 2].map((offset) => world.record(offset)),
      0,
    );
    void world.fetch(
      [10, 11, 12].map((offset) => world.record(offset)),
      1,
    );

    world.sink.credit = Infinity;
    world.intake.handOver();

    expect(world.places()).toEqual(["id-10", "id-0", "id-11", "id-1", "id-12", "id-2"]);
  });

  test("a full window pauses the partition, and one that is half empty resumes it", async () => {
    const world = new IntakeWorld(4);
    const tracker = world.intake.own("t", 0);
    const fetched = world.fetch([0, 1, 2, 3].map((offset) => world.record(offset)));
    const paused = (): boolean => world.paused.has(tracker);

    await world.clock.advanceAsync(1000);
    await fetched;
    expect(paused()).toBe(true);
    void world.sink.at(3).settle(ACK);
    void world.sink.at(0).settle(ACK);
    expect(paused()).toBe(true);
    void world.sink.at(1).settle(ACK);

    expect(paused()).toBe(false);
    expect(tracker.base).toBe(2);
  });

  test("what a lost partition still runs is fenced, and is known when it comes again", async () => {
    const world = new IntakeWorld();
    const old = world.intake.own("t", 0);
    const records = [0, 1, 2, 3].map((offset) => world.record(offset));
    void world.fetch(records);
    void world.sink.at(1).settle(ACK);

    world.intake.lose(old);
    const late = (): unknown => world.sink.at(2).settle(ACK);
    expect(late).toThrow(/belongs to a lost connection/);
    const tracker = world.intake.own("t", 0);
    void world.fetch(records);
    // The first still runs: its end counts for the record that came again.
    void world.sink.at(0).settle(ACK);
    void world.sink.at(3).settle(ACK);
    await settled();

    expect(world.lost).toBe(3);
    expect(world.sink.entries).toHaveLength(4);
    expect(tracker.base).toBe(4);
  });

  test("a topic that was created anew is not taken for the old one: time and key differ", () => {
    const world = new IntakeWorld();
    const old = world.intake.own("t", 0);
    void world.fetch([world.record(0)]);
    world.intake.lose(old);
    world.clock.advance(10);

    world.intake.own("t", 0);
    void world.fetch([world.record(0)]);

    expect(world.sink.entries).toHaveLength(2);
  });

  test("a job that was fenced and given back runs again", () => {
    const world = new IntakeWorld();
    const old = world.intake.own("t", 0);
    const records = [world.record(0)];
    void world.fetch(records);
    world.intake.lose(old);
    expect(() => world.sink.at(0).settle(RELEASE)).toThrow(/lost connection/);

    world.intake.own("t", 0);
    void world.fetch(records);

    expect(world.sink.entries).toHaveLength(2);
  });

  test("records of a position that was lost are taken although their offsets are lower", () => {
    const world = new IntakeWorld();
    const tracker = world.intake.own("t", 0);
    void world.fetch([world.record(50)]);

    tracker.positionLost = true;
    world.clock.advance(5);
    void world.fetch([world.record(0)]);

    expect(world.places()).toEqual(["id-50", "id-0"]);
    expect(world.intake.tracker("t", 0)?.base).toBe(0);
  });

  test("a delivery that is settled twice is reported and changes nothing", () => {
    const world = new IntakeWorld();
    const tracker = world.intake.own("t", 0);
    void world.fetch([world.record(0), world.record(1)]);
    void world.sink.at(0).settle(ACK);

    void world.sink.at(0).settle(RELEASE);

    expect(world.logger.messages("error")).toEqual(["delivery was settled twice"]);
    expect(tracker.base).toBe(1);
    expect(world.sink.entries).toHaveLength(2);
  });
});
