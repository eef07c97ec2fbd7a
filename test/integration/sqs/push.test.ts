import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { awsError, HttpFaultProxy } from "../../support/http-fault-proxy.ts";
import { bytesOf, SqsServer, textOf } from "./sqs-fixture.ts";

/** What went wrong with a call. */
async function failureOf(call: Promise<unknown> | undefined): Promise<Error & { readonly code?: string }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error("the call succeeded");
}

describeWithBroker("sqs", "pushing to SQS", ({ address }) => {
  let proxy: HttpFaultProxy;
  let server: SqsServer;

  beforeEach(async () => {
    proxy = await HttpFaultProxy.start(address);
    server = new SqsServer(proxy.address);
  });

  afterEach(async () => {
    await server.close();
    await proxy.shut();
  });

  test("[SQS-13] delays a job as long as it is told, and counts it as delayed meanwhile", async () => {
    const { driver, delivery } = await server.consumer();
    const pushedAt = performance.now();

    await driver.push(aJob({ id: "a", payload: bytesOf("x"), delaySec: 5 }));
    const stats = await driver.stats(AbortSignal.timeout(5_000));
    const received = await delivery();

    expect(stats).toMatchObject({ active: 0, delayed: 1, reserved: 0 });
    expect(performance.now() - pushedAt).toBeGreaterThan(4_900);
    expect(proxy.of("SendMessage")[0]?.body["DelaySeconds"]).toBe(5);
    expect(received.job.delaySec).toBe(5);
    await received.settle(ACK);
  });

  test("[SQS-13] takes a delay of 900 s, and refuses a longer one where delays are not re-armed", async () => {
    const { driver, queue } = await server.pipeline({ delayed: "reject" });

    await driver.push(aJob({ payload: bytesOf("x"), delaySec: 900 }));
    const failure = await failureOf(driver.push(aJob({ payload: bytesOf("x"), delaySec: 901 })));

    expect(failure.message).toBe("unable to push, maximum possible delay is 900 seconds (15 minutes), provided: 901");
    expect(proxy.of("SendMessage")).toHaveLength(1);
    expect((await server.counts(queue)).delayed).toBe(1);
  });

  test("sends a job that is due later than in 15 minutes with the longest delay there is", async () => {
    const { driver } = await server.pipeline();

    await driver.push(aJob({ payload: bytesOf("x"), delaySec: 3600 }));

    const { body } = proxy.of("SendMessage")[0] ?? {};
    expect(body).toMatchObject({
      DelaySeconds: 900,
      MessageAttributes: { rr_delay: { DataType: "String", StringValue: "3600" } },
    });
  });

  test("refuses a delay that is longer than the queue keeps messages", async () => {
    const { driver } = await server.pipeline();

    const failure = await failureOf(driver.push(aJob({ payload: bytesOf("x"), delaySec: 345_600 })));

    expect(failure).toMatchObject({ code: "JOBS_JOB_INVALID", retryable: false });
    expect(failure.message).toContain("345600 seconds after which queue");
    expect(proxy.of("SendMessage")).toEqual([]);
  });

  describe("[SQS-38] a payload", () => {
    test.each([
      ["200 KiB", "0123456789abcdef".repeat(12_800)],
      ["Cyrillic, emoji and white space", "Привет \u{1f642}\t\r\n\ufeffмир"],
    ])("arrives as it was: %s", async (_what, text) => {
      const { driver, delivery } = await server.consumer();

      await driver.push(aJob({ payload: bytesOf(text) }));

      const received = await delivery();
      expect(textOf(received)).toBe(text);
      await received.settle(ACK);
    });

    test.each([
      ["is empty", new Uint8Array(0), "empty payload is not allowed"],
      ["has a NUL", bytesOf("ab\u0000"), "U+0000 at byte 2"],
      ["is no UTF-8", new Uint8Array([0x61, 0xff, 0x62]), "not valid UTF-8 (byte 1)"],
      [
        "is larger than the queue takes",
        new Uint8Array(262_145).fill(0x61),
        "262145, headers 2), the queue takes 262144",
      ],
    ])("is refused before any call if it %s", async (_what, payload, text) => {
      const { driver } = await server.pipeline();

      const failure = await failureOf(driver.push(aJob({ payload })));

      expect(failure.code).toBe("JOBS_JOB_INVALID");
      expect(failure.message).toContain(text);
      expect(proxy.of("SendMessage")).toEqual([]);
    });
  });

  test("[SQS-39] headers of any text come back as they were, and count towards the size", async () => {
    const { driver, delivery } = await server.consumer();
    const many = Array.from({ length: 100 }, (_, n): [string, string[]] => [`h${n}`, [`v${n}`, "\u{1f642}"]]);
    const headers = toHeaders([["quotes", [`"<>&'`, ""]], ["none", []], ...many]);

    await driver.push(aJob({ id: "a", payload: bytesOf("x"), headers }));
    const received = await delivery();
    const large = toHeaders([["large", ["x".repeat(262_144)]]]);
    const failure = await failureOf(driver.push(aJob({ payload: bytesOf("x"), headers: large })));

    expect(received.job.headers).toMatchObject({ ...headers });
    expect(failure.message).toContain("headers 262158");
    await received.settle(ACK);
  });

  test("[SQS-42] stores every job of a batch but the one it can not carry", async () => {
    const { driver, queue } = await server.pipeline();
    const jobs = Array.from({ length: 25 }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf(n === 13 ? "" : `p${n}`) }));

    const failures = await driver.pushBatch(jobs);

    expect(failures).toMatchObject([{ index: 13, unknown: false, error: { code: "JOBS_JOB_INVALID" } }]);
    expect((await server.counts(queue)).waiting).toBe(24);
    expect(proxy.of("SendMessageBatch")).toHaveLength(3);
  });

  test("[SQS-42] splits a batch by bytes", async () => {
    const { driver, queue } = await server.pipeline();
    const payload = new Uint8Array(100 * 1024).fill(0x61);

    const failures = await driver.pushBatch(Array.from({ length: 12 }, () => aJob({ payload })));

    expect(failures).toEqual([]);
    expect(proxy.of("SendMessageBatch")).toHaveLength(6);
    expect((await server.counts(queue)).waiting).toBe(12);
  });

  test("tries single jobs of a batch again where that may help, and names those where it does not", async () => {
    const { driver } = await server.pipeline();
    const failing = (ids: readonly string[], senderFault: boolean) => ({
      t: "edit" as const,
      edit: (answer: Record<string, unknown>) => ({
        Successful: (answer["Successful"] as { Id: string }[]).filter(({ Id }) => !ids.includes(Id)),
        Failed: ids.map((Id) => ({
          Id,
          Code: senderFault ? "InvalidMessageContents" : "InternalError",
          SenderFault: senderFault,
        })),
      }),
    });
    proxy.fault("SendMessageBatch", failing(["1"], false), 1);
    proxy.fault("SendMessageBatch", failing(["0"], true), 1);

    const failures = await driver.pushBatch([aJob({ payload: bytesOf("a") }), aJob({ payload: bytesOf("b") })]);

    expect(failures).toMatchObject([{ index: 1, unknown: false, error: { code: "JOBS_JOB_INVALID" } }]);
    expect(proxy.of("SendMessageBatch").map(({ body }) => (body["Entries"] as unknown[]).length)).toEqual([2, 1]);
  });

  test("[SQS-31] gets jobs through while the service throttles", async () => {
    const { driver, queue } = await server.pipeline();
    proxy.fault("SendMessage", awsError(403, "RequestThrottled"), 5);

    await driver.push(aJob({ payload: bytesOf("x") }));

    const [first, ...later] = proxy.of("SendMessage");
    expect(later).toHaveLength(5);
    expect((later.at(-1)?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(1_000);
    expect((await server.counts(queue)).waiting).toBe(1);
  });

  test("gets jobs through errors of the server, also such that are no JSON", async () => {
    const { driver, queue } = await server.pipeline();
    proxy.fault("SendMessageBatch", { t: "answer", status: 500, body: "<html>Bad gateway</html>" }, 1);
    proxy.fault("SendMessageBatch", awsError(503, "ServiceUnavailable"), 1);

    const failures = await driver.pushBatch([aJob({ payload: bytesOf("x") })]);

    expect(failures).toEqual([]);
    expect((await server.counts(queue)).waiting).toBe(1);
  });

  test("[SQS-30] tells of a job whose answer was lost instead of storing it twice", async () => {
    const { driver, queue } = await server.pipeline();
    proxy.fault("SendMessage", { t: "lose" }, 1);
    proxy.fault("SendMessageBatch", { t: "lose" }, 1);

    const failure = await failureOf(driver.push(aJob({ payload: bytesOf("x") })));
    const failures = await driver.pushBatch([aJob({ payload: bytesOf("y") })]);

    expect(failure).toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE", retryable: true });
    expect(failure.message).toContain("may have been stored");
    expect(failures).toMatchObject([{ index: 0, unknown: true }]);
    expect((await server.counts(queue)).waiting).toBe(2);
    expect([proxy.of("SendMessage").length, proxy.of("SendMessageBatch").length]).toEqual([1, 1]);
  });

  test("[SQS-30] stores a job whose answer was lost once where the queue knows doubles", async () => {
    const { driver, queue } = await server.pipeline({
      queue: `${uniqueName("lost")}.fifo`,
      config: { message_group_id: "g" },
    });
    proxy.fault("SendMessage", { t: "lose" }, 1);

    await driver.push(aJob({ payload: bytesOf("x") }));

    expect(proxy.of("SendMessage")).toHaveLength(2);
    expect((await server.counts(queue)).waiting).toBe(1);
  });

  test("tells a producer of expired credentials at once, and goes on when they are renewed", async () => {
    const { driver, queue } = await server.pipeline();
    proxy.fault("SendMessage", awsError(403, "ExpiredTokenException", "The security token is expired"), 1);

    const failure = await failureOf(driver.push(aJob({ payload: bytesOf("x") })));
    await driver.push(aJob({ payload: bytesOf("x") }));

    expect(failure).toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });
    expect(failure.message).toContain("credentials or permissions do not suffice");
    expect((await server.counts(queue)).waiting).toBe(1);
  });

  test("fails a push that gets no answer at its deadline", async () => {
    const { driver } = await server.pipeline({ timeoutMs: 1_000 });
    proxy.fault("SendMessage", { t: "hold" });

    const failure = await failureOf(driver.push(aJob({ payload: bytesOf("x") })));

    expect(failure).toMatchObject({ code: "JOBS_DEADLINE_EXCEEDED" });
  });

  test("pushes while the service is away wait for it, and fail at their deadline", async () => {
    const { driver, queue } = await server.pipeline({ timeoutMs: 3_000 });
    await proxy.shut();

    const late = driver.push(aJob({ payload: bytesOf("late") }));
    const failure = await failureOf(late);
    const waiting = driver.push(aJob({ payload: bytesOf("x") }));
    await proxy.open();
    await waiting;

    expect(failure).toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE", retryable: true });
    expect((await server.counts(queue)).waiting).toBe(1);
  });

  test("[SQS-43] counts messages as the queue does, and fails alone when it may not", async () => {
    const one = await server.pipeline();
    const other = await server.pipeline();
    await one.driver.pushBatch([1, 2, 3].map((n) => aJob({ payload: bytesOf(`x${n}`) })));
    await one.driver.push(aJob({ payload: bytesOf("x"), delaySec: 600 }));
    await server.receive(one.queue);
    const ofOther = (body: unknown): boolean => JSON.stringify(body).includes(other.queue);
    proxy.fault("GetQueueAttributes", awsError(403, "AccessDenied"), Infinity, ({ body }) => ofOther(body));

    const signal = AbortSignal.timeout(10_000);
    const [mine, theirs] = await Promise.allSettled([one.driver.stats(signal), other.driver.stats(signal)]);

    expect(mine).toEqual({ status: "fulfilled", value: { active: 2, delayed: 1, reserved: 1 } });
    expect(theirs).toMatchObject({ status: "rejected", reason: { code: "JOBS_DRIVER_UNAVAILABLE" } });
    expect(one.driver.queue).toMatch(new RegExp(`^http://.*/${one.queue}$`));
  });
});
