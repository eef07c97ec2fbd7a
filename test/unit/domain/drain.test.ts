import { describe, expect, jest, test } from "@jest/globals";
import { Drain } from "../../../src/domain/drain.ts";

describe("the drain", () => {
  test("is running at first, and jobs that end do not change that", () => {
    const drain = new Drain();
    const drained = jest.fn();
    drain.onDrained(drained);

    drain.jobStarted();
    drain.jobEnded();

    expect(drain.state).toBe("running");
    expect(drained).not.toHaveBeenCalled();
  });

  test("of an idle daemon is over at once", () => {
    const drain = new Drain();
    const drained = jest.fn();
    drain.onDrained(drained);

    drain.begin();

    expect(drain.state).toBe("drained");
    expect(drained).toHaveBeenCalledTimes(1);
  });

  test("waits for the last job under way and tells everybody once", () => {
    const drain = new Drain();
    const listeners = [jest.fn(), jest.fn()];
    for (const listener of listeners) drain.onDrained(listener);
    drain.jobStarted();
    drain.jobStarted();

    drain.begin();
    drain.jobEnded();
    const before = { state: drain.state, underway: drain.underway, calls: listeners.map((fn) => fn.mock.calls.length) };
    drain.jobEnded();
    drain.begin();

    expect(before).toEqual({ state: "draining", underway: 1, calls: [0, 0] });
    expect(drain.state).toBe("drained");
    expect(listeners.map((fn) => fn.mock.calls.length)).toEqual([1, 1]);
  });

  test("answers at once who asks after its end", () => {
    const drain = new Drain();
    drain.begin();
    const drained = jest.fn();

    drain.onDrained(drained);

    expect(drained).toHaveBeenCalledTimes(1);
  });
});
