import { describe, expect, test } from "@jest/globals";
import type { ReplyHandler } from "../../../../src/adapters/nats/nats-connection.ts";
import { RequestTable, SWEEP_EVERY_MS } from "../../../../src/adapters/nats/request-table.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";

class Waiting implements ReplyHandler {
  readonly outcomes: string[] = [];

  replied(data: Uint8Array): void {
    this.outcomes.push(Buffer.from(data).toString());
  }

  failed(failure: Error): void {
    this.outcomes.push(failure.name);
  }
}

describe("RequestTable", () => {
  test("an answer reaches who waits for it, once", () => {
    const table = new RequestTable(new FakeClock());
    const waiting = new Waiting();
    const token = table.add("s", 1000, waiting) ?? "";

    table.take(token)?.replied(Buffer.from("yes"));

    expect(waiting.outcomes).toEqual(["yes"]);
    expect(table.take(token)).toBeUndefined();
  });

  test("a request without an answer fails at its deadline, not before, and leaves no timer", () => {
    const clock = new FakeClock();
    const table = new RequestTable(clock);
    const [short, long] = [new Waiting(), new Waiting()];
    table.add("s", 1000, short);
    table.add("s", 5000, long);

    clock.advance(999);
    expect(short.outcomes).toEqual([]);
    clock.advance(1 + SWEEP_EVERY_MS);

    expect([short.outcomes, long.outcomes]).toEqual([["NoAnswerError"], []]);
    clock.advance(5000);
    expect(long.outcomes).toEqual(["NoAnswerError"]);
    expect([table.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test("when the connection ends all requests fail, and so does each later one", () => {
    const clock = new FakeClock();
    const table = new RequestTable(clock);
    const [before, after] = [new Waiting(), new Waiting()];
    table.add("s", 1000, before);

    table.close(new Error("cut"));

    expect(table.add("s", 1000, after)).toBeUndefined();
    expect([before.outcomes, after.outcomes]).toEqual([["ConnectionLostError"], ["ConnectionLostError"]]);
    expect(clock.pendingTimers).toBe(0);
  });

  test("requests to a subject that is forbidden fail at once, others wait on", () => {
    const table = new RequestTable(new FakeClock());
    const [forbidden, allowed] = [new Waiting(), new Waiting()];
    table.add("a", 1000, forbidden);
    table.add("b", 1000, allowed);

    table.refuse("a", undefined);

    expect([forbidden.outcomes, allowed.outcomes]).toEqual([["PermissionError"], []]);
  });
});
