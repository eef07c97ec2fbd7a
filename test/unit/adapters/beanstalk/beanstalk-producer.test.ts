import { beforeEach, describe, expect, test } from "@jest/globals";
import { BeanstalkProducer } from "../../../../src/adapters/beanstalk/beanstalk-producer.ts";
import {
  type Answered,
  BeanstalkRefusal,
  type BeanstalkSession,
  ConnectionLostError,
  type PutCommand,
} from "../../../../src/adapters/beanstalk/beanstalk-session.ts";
import type { PushFailure } from "../../../../src/domain/ports/driver.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";

/** A connection whose puts the test answers, in order. */
class FakeSession {
  readonly puts: { readonly put: PutCommand; readonly answered: Answered }[] = [];
  readonly maxJobBytes = 100;
  closed = false;
  #next = 0;

  together(calls: () => void): void {
    calls();
  }

  put(put: PutCommand, answered: Answered): void {
    this.puts.push({ put, answered });
  }

  answer(count: number, failure?: BeanstalkRefusal | ConnectionLostError): void {
    for (const { answered } of this.puts.slice(this.#next, this.#next + count)) answered(failure, "1", Buffer.alloc(0));
    this.#next += count;
  }
}

function command(bytes = 1, delaySec = 0): PutCommand {
  return { priority: 0, delaySec, ttrSec: 30, body: Buffer.alloc(bytes) };
}

/** What of failures is told. */
function told(failures: readonly PushFailure[]): readonly unknown[] {
  return failures.map(({ index, unknown, error }) => [index, unknown, error.code, error.message]);
}

describe("BeanstalkProducer", () => {
  let clock: FakeClock;
  let session: FakeSession;
  let producer: BeanstalkProducer;

  beforeEach(() => {
    clock = new FakeClock();
    session = new FakeSession();
    producer = new BeanstalkProducer(clock, () => "connection refused");
  });

  function attach(): void {
    producer.attach(session as unknown as BeanstalkSession);
  }

  test("has at most 256 puts unanswered, and goes on with each answer", async () => {
    attach();
    const done = producer.put(600, () => command(), 1000);
    expect(session.puts.length).toBe(256);

    session.answer(100);
    await Promise.resolve();
    expect(session.puts.length).toBe(356);
    session.answer(256);
    await Promise.resolve();
    session.answer(244);

    expect(await done).toEqual([]);
  });

  test("has at most 4 MiB unanswered", () => {
    const large = new FakeSession();
    Object.assign(large, { maxJobBytes: 2 ** 30 });
    producer.attach(large as unknown as BeanstalkSession);

    void producer.put(10, () => command(2 ** 20), 1000);

    expect(large.puts.length).toBe(4);
  });

  test("jobs wait for a connection, and keep their order", async () => {
    const first = producer.put(2, (index) => command(index + 1), 1000);
    const second = producer.put(1, () => command(3), 1000);

    attach();
    session.answer(3);

    expect([await first, await second]).toEqual([[], []]);
    expect(session.puts.map(({ put }) => put.body.length)).toEqual([1, 2, 3]);
  });

  test("what could not be sent by its deadline fails with the reason, and is certainly not stored", async () => {
    const done = producer.put(2, () => command(), 1000);

    clock.advance(1000);

    expect(told(await done)).toEqual([
      [0, false, "JOBS_DRIVER_UNAVAILABLE", "beanstalk: broker is not reachable"],
      [1, false, "JOBS_DRIVER_UNAVAILABLE", "beanstalk: broker is not reachable"],
    ]);
    expect(session.puts.length).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test("what was sent and not answered by its deadline may be stored", async () => {
    attach();
    const done = producer.put(1, () => command(), 1000);

    clock.advance(1000);

    expect(told(await done)).toEqual([
      [0, true, "JOBS_DEADLINE_EXCEEDED", "beanstalk_push: operation timed out after 1s"],
    ]);
    session.answer(1);
  });

  test("the earliest deadline counts, whichever call came first", async () => {
    attach();
    const long = producer.put(1, () => command(), 60_000);
    const short = producer.put(1, () => command(), 1000);

    clock.advance(1000);

    expect((await short).length).toBe(1);
    clock.advance(59_000);
    expect((await long).length).toBe(1);
  });

  test("what was unanswered when the connection was lost may be stored; the rest goes over the next one", async () => {
    attach();
    const done = producer.put(300, () => command(), 1000);
    session.closed = true;
    session.answer(256, new ConnectionLostError(new Error("reset")));
    session = new FakeSession();
    attach();
    session.answer(44);

    const failures = await done;

    expect([failures.length, failures.every(({ unknown }) => unknown)]).toEqual([256, true]);
    expect(failures[0]?.error.message).toContain("the job may have been stored");
    expect(session.puts.length).toBe(44);
  });

  test.each([
    ["DRAINING", "", false, "the server is being shut down and takes no jobs (DRAINING)"],
    ["OUT_OF_MEMORY", "", false, "the server is out of memory (OUT_OF_MEMORY)"],
    ["BURIED", "17", true, "the server had no memory to queue the job and buried it (BURIED 17)"],
    ["INTERNAL_ERROR", "", false, "the server refused the job (INTERNAL_ERROR)"],
  ])(
    "[BEAN-39] %s is told with the server's own word, and the next push works",
    async (word, detail, unknown, text) => {
      attach();
      const refused = producer.put(1, () => command(), 1000);
      const next = producer.put(1, () => command(), 1000);

      session.answer(1, new BeanstalkRefusal(word, detail));
      session.answer(1);

      expect(told(await refused)).toEqual([[0, unknown, "JOBS_DRIVER_UNAVAILABLE", `beanstalk: ${text}`]]);
      expect(await next).toEqual([]);
    },
  );

  test("[BEAN-33] a job above the server's limit is refused with both sizes, and not sent", async () => {
    attach();
    const done = producer.put(2, (index) => command(index === 0 ? 101 : 1), 1000);
    session.answer(1);

    const failures = await done;

    expect(told(failures)).toEqual([
      [
        0,
        false,
        "JOBS_JOB_INVALID",
        "beanstalk: job too big: 101 bytes with its envelope, the server takes 100 (beanstalkd -z)",
      ],
    ]);
    expect(session.puts.length).toBe(1);
  });

  test("a delay the server can not count is refused", async () => {
    attach();

    const failures = await producer.put(1, () => command(1, 2 ** 32), 1000);

    expect(failures[0]?.error.message).toContain("a delay of 4294967296 s is not possible");
  });

  test("once it is closed everything that was not sent fails, and so does what comes", async () => {
    const waiting = producer.put(2, () => command(), 1000);

    producer.close();

    const text = "beanstalk: the pipeline is closed";
    expect((await waiting).map(({ error }) => error.message)).toEqual([text, text]);
    expect((await producer.put(1, () => command(), 1000)).map(({ error }) => error.message)).toEqual([text]);
  });
});
