import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { DAEMON_HEADERS, headerValue, type JobHeaders, toHeaders } from "../../src/domain/job-headers.ts";
import { FAILURE_REASONS, type JobResult } from "../../src/domain/job-result.ts";
import { decide } from "../../src/domain/outcome.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/domain/policy.ts";
import { aJob } from "../../src/testing/a-job.ts";

const randomCase = fc
  .tuple(fc.constantFrom(...DAEMON_HEADERS, "x-job-max-attempts", "attempts", "a", "__proto__"), fc.boolean())
  .map(([name, upper]) => (upper ? name.toUpperCase() : name));
const headers: fc.Arbitrary<JobHeaders> = fc
  .array(fc.tuple(randomCase, fc.array(fc.oneof(fc.string(), fc.nat(6).map(String)), { maxLength: 2 })))
  .map(toHeaders);
const policy: fc.Arbitrary<Policy> = fc
  .record({
    maxAttempts: fc.nat(5),
    maxRequeues: fc.nat(3),
    onNack: fc.constantFrom("dead_letter", "rr"),
    onError: fc.constantFrom("ack", "dead_letter", "retry"),
    onMalformed: fc.constantFrom("dead_letter", "rr", "retry"),
  })
  .map((changes) => ({ ...DEFAULT_POLICY, ...changes }));
const context = fc.record({
  job: fc.record({ headers, autoAck: fc.boolean() }).map((fields) => aJob(fields)),
  policy,
  failures: fc.nat(10),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});
const failed: fc.Arbitrary<JobResult> = fc.record({
  t: fc.constant("failed" as const),
  reason: fc.constantFrom(...FAILURE_REASONS),
  message: fc.string(),
});
const notStarted: fc.Arbitrary<JobResult> = fc.record({
  t: fc.constant("not_started" as const),
  reason: fc.constantFrom("worker_gone" as const, "worker_stop" as const, "shutdown" as const),
});
const requeue: fc.Arbitrary<JobResult> = fc.record({
  t: fc.constant("requeue" as const),
  message: fc.string(),
  delayMs: fc.nat(),
  headers,
});

test("a failure of the infrastructure never destroys a job", () => {
  fc.assert(
    fc.property(failed, context, (result, situation) => {
      expect(["retry", "dead"]).toContain(decide(result, situation).t);
    }),
  );
});

test("a job that was not started is neither counted nor changed", () => {
  fc.assert(
    fc.property(notStarted, context, (result, situation) => {
      expect(["put_back", "release"]).toContain(decide(result, situation).t);
    }),
  );
});

test("a job that was acknowledged before it ran is never retried", () => {
  fc.assert(
    fc.property(failed, context, (result, situation) => {
      const autoAck = { ...situation, job: aJob({ headers: situation.job.headers, autoAck: true }) };

      expect(decide(result, autoAck)).toMatchObject({ t: "dead", letter: { reason: "auto_ack" } });
    }),
  );
});

test("a retry counts one failure more, and changes no other header", () => {
  fc.assert(
    fc.property(failed, context, (result, situation) => {
      const decision = decide(result, situation);
      fc.pre(decision.t === "retry");
      const others = (all: JobHeaders) =>
        Object.entries(all).filter(([name]) => name.toLowerCase() !== "x-job-attempt");

      expect(decision.headers["x-job-attempt"]).toEqual([(situation.failures + 1).toString()]);
      expect(others(decision.headers)).toEqual(others(situation.job.headers));
    }),
  );
});

test("a requeue keeps the daemon's headers as the daemon wrote them, whatever the worker sends", () => {
  fc.assert(
    fc.property(requeue, context, (result, situation) => {
      const decision = decide(result, situation);
      fc.pre(decision.t === "requeue");

      expect(headerValue(decision.headers, "x-job-attempt")).toBeUndefined();
      for (const name of DAEMON_HEADERS) {
        if (name === "x-job-attempt" || (name === "x-job-requeues" && situation.policy.maxRequeues > 0)) continue;
        expect(headerValue(decision.headers, name)).toBe(headerValue(situation.job.headers, name));
      }
    }),
  );
});
