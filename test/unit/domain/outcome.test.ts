import { describe, expect, test } from "@jest/globals";
import { DEAD_REASONS, type DeadReason } from "../../../src/domain/delivery.ts";
import { type JobHeaders, NO_HEADERS, toHeaders } from "../../../src/domain/job-headers.ts";
import { ACKED, FAILURE_REASONS, type JobResult } from "../../../src/domain/job-result.ts";
import { type Decision, deadLetterTarget, decide, failuresOf } from "../../../src/domain/outcome.ts";
import { DEFAULT_POLICY, type Policy, RR_POLICY } from "../../../src/domain/policy.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { BROKER } from "../../support/flows.ts";

/** A job before its second attempt: one failure so far. */
interface Situation {
  readonly policy?: Partial<Policy>;
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly failures?: number;
  readonly autoAck?: boolean;
  readonly random?: number;
  readonly nack?: "resend" | "native";
}

function headersOf(record: Readonly<Record<string, readonly string[]>>): JobHeaders {
  return toHeaders(Object.entries(record));
}

function decideIn(situation: Situation, result: JobResult): Decision {
  const job = aJob({ headers: headersOf(situation.headers ?? {}), autoAck: situation.autoAck ?? false });
  const policy = { ...DEFAULT_POLICY, ...situation.policy };
  const { failures = 0, random = 0.5, nack } = situation;
  return decide(result, { job, policy, failures, random, nack });
}

/** Headers as a plain map; `undefined` where the decision has none. */
function headersIn(decision: Decision): Record<string, readonly string[]> | undefined {
  return "headers" in decision ? { ...decision.headers } : undefined;
}

function dead(reason: DeadReason, error: string, attempts = 0, answer?: Uint8Array): Decision {
  return { t: "dead", letter: { reason, error, attempts, answer } };
}

const answer = Uint8Array.from([110, 111]);
const results = {
  ack: ACKED,
  unknown: { t: "unknown", type: 7 },
  error: { t: "error", message: "x", requeue: false, delayMs: 0, headers: NO_HEADERS },
  errorRequeue: { t: "error", message: "x", requeue: true, delayMs: 2000, headers: NO_HEADERS },
  nack: { t: "nack", message: "x", requeue: false, delayMs: 0 },
  nackRequeue: { t: "nack", message: "x", requeue: true, delayMs: 2000 },
  requeue: { t: "requeue", message: "x", delayMs: 2000, headers: NO_HEADERS },
  malformed: { t: "malformed", message: "x", answer },
  context: { t: "context", message: "x" },
  crash: { t: "failed", reason: "crash", message: "x" },
  workerGone: { t: "not_started", reason: "worker_gone" },
  workerStop: { t: "not_started", reason: "worker_stop" },
  shutdown: { t: "not_started", reason: "shutdown" },
} satisfies Record<string, JobResult>;

const retried: Decision = { t: "retry", headers: headersOf({ "x-job-attempt": ["1"] }), delayMs: 1000 };
const requeued: Decision = { t: "requeue", headers: NO_HEADERS, delayMs: 2000 };

describe("the table of outcomes", () => {
  test.each<{ event: string; result: JobResult; ours: Decision; rr: Decision }>([
    {
      event: "type 0 or 2, empty body",
      result: results.ack,
      ours: { t: "ack", failed: false },
      rr: { t: "ack", failed: false },
    },
    {
      event: "unknown type",
      result: results.unknown,
      ours: { t: "ack", failed: false },
      rr: { t: "ack", failed: false },
    },
    { event: "type 1 + requeue", result: results.errorRequeue, ours: requeued, rr: requeued },
    { event: "type 3 + requeue", result: results.nackRequeue, ours: requeued, rr: requeued },
    { event: "type 4", result: results.requeue, ours: requeued, rr: requeued },
    { event: "type 1", result: results.error, ours: { t: "ack", failed: true }, rr: { t: "ack", failed: true } },
    { event: "type 3", result: results.nack, ours: dead("nack", "x"), rr: { t: "nack" } },
    {
      event: "malformed answer",
      result: results.malformed,
      ours: dead("malformed", "x", 0, answer),
      rr: { t: "ack", failed: true },
    },
    ...FAILURE_REASONS.map((reason) => ({
      event: `failure: ${reason}`,
      result: { t: "failed", reason, message: "x" } as const,
      ours: retried,
      rr: { t: "nack", failed: true } as const,
    })),
    {
      event: "worker gone before the frame was read",
      result: results.workerGone,
      ours: { t: "put_back" },
      rr: { t: "put_back" },
    },
    { event: "stop marker", result: results.workerStop, ours: { t: "put_back" }, rr: { t: "put_back" } },
    { event: "shutdown", result: results.shutdown, ours: { t: "release" }, rr: { t: "release" } },
    { event: "context cannot be built", result: results.context, ours: dead("context", "x"), rr: dead("context", "x") },
  ])("$event", ({ result, ours, rr }) => {
    expect(decideIn({}, result)).toEqual(ours);
    expect(decideIn({ policy: RR_POLICY }, result)).toEqual(rr);
  });

  test.each<{ policy: Partial<Policy>; result: JobResult; decision: Decision }>([
    { policy: { onError: "dead_letter" }, result: results.error, decision: dead("error", "x") },
    { policy: { onError: "retry" }, result: results.error, decision: retried },
    { policy: { onMalformed: "retry" }, result: results.malformed, decision: retried },
    { policy: { onMalformed: "rr" }, result: results.malformed, decision: { t: "ack", failed: true } },
    { policy: { onNack: "rr" }, result: results.nack, decision: { t: "nack" } },
    { policy: { onWorkerFailure: "rr" }, result: results.crash, decision: { t: "nack", failed: true } },
  ])("follows the policy $policy", ({ policy, result, decision }) => {
    expect(decideIn({ policy }, result)).toEqual(decision);
  });
});

describe("attempts", () => {
  test("wait longer from failure to failure and end at the limit", () => {
    const decisions = [0, 1, 2, 3, 4].map((failures) => decideIn({ failures }, results.crash));

    expect(decisions.map((decision) => ("delayMs" in decision ? decision.delayMs : decision.t))).toEqual([
      1000,
      2000,
      4000,
      8000,
      "dead",
    ]);
    expect(decisions[4]).toEqual(dead("attempts", "crash: x", 5));
  });

  test("are counted in a header of the retry, which replaces every other spelling", () => {
    const decision = decideIn({ failures: 3, headers: { a: ["1"], "X-Job-Attempt": ["77"] } }, results.crash);

    expect(headersIn(decision)).toEqual({ a: ["1"], "x-job-attempt": ["4"] });
  });

  test.each([
    { header: "1", failures: 0, given: "up" },
    { header: "2", failures: 0, given: "another try" },
    { header: "1000", failures: 998, given: "another try" },
    { header: "1000", failures: 999, given: "up" },
    { header: "0", failures: 3, given: "another try" },
    { header: "0", failures: 4, given: "up" },
    { header: "1001", failures: 4, given: "up" },
    { header: "many", failures: 4, given: "up" },
  ])("with x-job-max-attempts $header after $failures failures: given $given", ({ header, failures, given }) => {
    const decision = decideIn({ failures, headers: { "X-Job-Max-Attempts": [header] } }, results.crash);

    expect(decision.t).toBe(given === "up" ? "dead" : "retry");
  });

  test("have no limit where it is 0", () => {
    const decision = decideIn({ failures: 1_000_000, policy: { maxAttempts: 0 } }, results.crash);

    expect(decision).toMatchObject({ t: "retry", delayMs: 60_000 });
  });

  test.each([
    { random: 0, ms: 900 },
    { random: 0.75, ms: 1050 },
  ])("are spread by the jitter: $random → $ms ms", ({ random, ms }) => {
    expect(decideIn({ random }, results.crash)).toMatchObject({ t: "retry", delayMs: ms });
  });

  test.each([
    { headers: {}, failures: 0 },
    { headers: { "x-job-attempt": ["3"] }, failures: 3 },
    { headers: { "X-JOB-ATTEMPT": ["3.7"] }, failures: 3 },
    { headers: { "x-job-attempt": ["-1"] }, failures: 0 },
    { headers: { "x-job-attempt": ["1e400"] }, failures: 0 },
    { headers: { "x-job-attempt": ["x"] }, failures: 0 },
    { headers: { "x-job-attempt": [] }, failures: 0 },
  ])("so far are read from the headers: $headers", ({ headers, failures }) => {
    expect(failuresOf(headersOf(headers))).toBe(failures);
  });

  test.each([
    { headers: {}, counted: { attempts: ["1"] } },
    { headers: { attempts: ["2"] }, counted: { attempts: ["3"] } },
    { headers: { Attempts: ["2"], b: ["1"] }, counted: { b: ["1"], attempts: ["3"] } },
    { headers: { attempts: ["many"] }, counted: { attempts: ["1"] } },
  ])("are mirrored into the application's header where it is named: $headers", ({ headers, counted }) => {
    const decision = decideIn({ headers, policy: { attemptsHeader: "attempts" } }, results.crash);

    expect(headersIn(decision)).toEqual({ ...counted, "x-job-attempt": ["1"] });
  });

  test("are mirrored in the spelling of the policy", () => {
    const decision = decideIn({ headers: { attempts: ["2"] }, policy: { attemptsHeader: "Attempts" } }, results.crash);

    expect(headersIn(decision)).toEqual({ Attempts: ["3"], "x-job-attempt": ["1"] });
  });

  test("never touch the application's own count by default", () => {
    const decision = decideIn({ headers: { attempts: ["2"] } }, results.crash);

    expect(headersIn(decision)).toEqual({ attempts: ["2"], "x-job-attempt": ["1"] });
  });
});

describe("a job that is acknowledged before it runs", () => {
  test.each<{ event: string; policy?: Partial<Policy>; result: JobResult; decision: Decision }>([
    { event: "a crash", result: results.crash, decision: dead("auto_ack", "crash: x", 1) },
    {
      event: "an error to be retried",
      policy: { onError: "retry" },
      result: results.error,
      decision: dead("auto_ack", "x", 1),
    },
    { event: "a nack", result: results.nack, decision: dead("nack", "x") },
    { event: "success", result: results.ack, decision: { t: "ack", failed: false } },
    { event: "a requeue by the application", result: results.requeue, decision: requeued },
  ])("is kept and not run again after $event, unless it asks for it", ({ policy, result, decision }) => {
    expect(decideIn({ autoAck: true, policy: policy ?? {} }, result)).toEqual(decision);
  });
});

describe("a requeue by the application", () => {
  function requeueWith(headers: Readonly<Record<string, readonly string[]>>): JobResult {
    return { t: "requeue", message: "", delayMs: 0, headers: headersOf(headers) };
  }

  test("merges the headers it gives into those of the job", () => {
    const decision = decideIn({ headers: { a: ["1", "2"], b: ["3"] } }, requeueWith({ a: ["4"] }));

    expect(headersIn(decision)).toEqual({ a: ["4"], b: ["3"] });
  });

  test("keeps the very headers of the job where it gives none", () => {
    const job = aJob({ headers: headersOf({ a: ["1"] }) });

    const decision = decide(results.requeue, { job, policy: DEFAULT_POLICY, failures: 0, random: 0.5 });

    expect(decision).toHaveProperty("headers", job.headers);
  });

  test.each([results.requeue, results.nackRequeue, results.errorRequeue])(
    "starts the count of failures anew: $t",
    (result) => {
      const decision = decideIn({ failures: 2, headers: { "x-job-attempt": ["2"], a: ["1"] } }, result);

      expect(headersIn(decision)).toEqual({ a: ["1"] });
    },
  );

  test("can not forge what the daemon writes, in any spelling", () => {
    const forged = {
      "X-Job-Attempt": ["0"],
      "x-job-requeues": ["0"],
      "X-JOB-REDRIVEN": ["9"],
      "x-job-nacks": ["9"],
      "x-job-dead-reason": ["none"],
      a: ["1"],
    };

    const decision = decideIn({ headers: { "x-job-redriven": ["1"] } }, requeueWith(forged));

    expect(headersIn(decision)).toEqual({ a: ["1"], "x-job-redriven": ["1"] });
  });

  test("keeps what the producer asked for", () => {
    const headers = { "x-job-timeout": ["5"], "x-job-max-attempts": ["3"] };

    const decision = decideIn({ headers }, requeueWith(headers));

    expect(headersIn(decision)).toEqual(headers);
  });

  test("is counted only where requeues are limited", () => {
    const unlimited = decideIn({ headers: { a: ["1"] } }, requeueWith({}));
    const limited = decideIn({ headers: { a: ["1"] }, policy: { maxRequeues: 2 } }, requeueWith({}));
    const again = decideIn(
      { headers: { "x-job-requeues": ["1"] }, policy: { maxRequeues: 2 } },
      requeueWith({ "x-job-requeues": ["0"] }),
    );

    expect(headersIn(unlimited)).toEqual({ a: ["1"] });
    expect(headersIn(limited)).toEqual({ a: ["1"], "x-job-requeues": ["1"] });
    expect(headersIn(again)).toEqual({ "x-job-requeues": ["2"] });
  });

  test.each([results.requeue, results.nackRequeue, results.errorRequeue])(
    "beyond the limit is a dead letter: $t",
    (result) => {
      const decision = decideIn(
        { failures: 1, headers: { "x-job-requeues": ["2"] }, policy: { maxRequeues: 2 } },
        result,
      );

      expect(decision).toEqual(dead("requeues", "requeued 2 times, which policy.max_requeues allows", 1));
    },
  );
});

describe("a nack where the broker sends such jobs again", () => {
  test("is counted, and keeps nothing of the failures before it", () => {
    const first = decideIn({ nack: "resend", headers: { a: ["1"], "x-job-attempt": ["3"] } }, results.nack);
    const second = decideIn({ nack: "resend", headers: { "x-job-nacks": ["1"] } }, results.nack);

    expect(first).toMatchObject({ t: "requeue", delayMs: 0 });
    expect(headersIn(first)).toEqual({ a: ["1"], "x-job-nacks": ["1"] });
    expect(headersIn(second)).toEqual({ "x-job-nacks": ["2"] });
  });

  test.each([
    { limit: "the pipeline's", headers: { "x-job-nacks": ["4"] }, policy: {} },
    { limit: "the job's own", headers: { "x-job-nacks": ["1"], "x-job-max-attempts": ["2"] }, policy: {} },
  ])("is a dead letter at $limit limit", ({ headers, policy }) => {
    expect(decideIn({ nack: "resend", headers, policy }, results.nack)).toEqual(dead("nack", "x"));
  });

  test("goes on for ever without a limit", () => {
    const headers = { "x-job-nacks": ["999"] };

    const decision = decideIn({ nack: "resend", headers, policy: { maxAttempts: 0 } }, results.nack);

    expect(headersIn(decision)).toEqual({ "x-job-nacks": ["1000"] });
  });

  test("is left to a broker with a way of its own, and to RoadRunner's where that is asked for", () => {
    expect(decideIn({ nack: "native" }, results.nack)).toEqual({ t: "nack" });
    expect(decideIn({ nack: "resend", policy: { onNack: "rr" } }, results.nack)).toEqual({ t: "nack" });
  });
});

describe("a job that is given up", () => {
  test("names one of the listed reasons; deliveries are counted elsewhere", () => {
    const decisions = [
      decideIn({}, results.nack),
      decideIn({ policy: { onError: "dead_letter" } }, results.error),
      decideIn({}, results.malformed),
      decideIn({ failures: 4 }, results.crash),
      decideIn({ headers: { "x-job-requeues": ["1"] }, policy: { maxRequeues: 1 } }, results.requeue),
      decideIn({}, results.context),
      decideIn({ autoAck: true }, results.crash),
    ];

    const reasons = decisions.map((decision) => (decision.t === "dead" ? decision.letter.reason : undefined));

    expect(reasons).toEqual(DEAD_REASONS.filter((reason) => reason !== "deliveries"));
  });
});

describe("the place of a dead letter", () => {
  test.each([
    { deadLetter: "auto", native: true, settled: false, target: { t: "native" } },
    { deadLetter: "auto", native: true, settled: true, target: { t: "store" } },
    { deadLetter: "auto", native: false, settled: false, target: { t: "store" } },
    { deadLetter: "store", native: true, settled: false, target: { t: "store" } },
    { deadLetter: "none", native: true, settled: false, target: { t: "none" } },
    { deadLetter: "dead", native: true, settled: false, target: { t: "pipeline", name: "dead" } },
  ])("$deadLetter, broker keeps dead letters: $native, settled before: $settled", (row) => {
    const policy = { ...DEFAULT_POLICY, deadLetter: row.deadLetter };

    const target = deadLetterTarget(policy, { ...BROKER, nativeDeadLetter: row.native }, row.settled);

    expect(target).toEqual(row.target);
  });
});
