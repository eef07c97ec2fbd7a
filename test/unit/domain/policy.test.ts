import { describe, expect, test } from "@jest/globals";
import { DEFAULT_POLICY, parsePolicy, type Policy, RR_POLICY } from "../../../src/domain/policy.ts";

describe("a policy", () => {
  test.each([[undefined], [null], [{}], [""], ["  "], ["{}"], ["null"]])(
    "that says nothing is the default: %j",
    (source) => {
      expect(parsePolicy(source, DEFAULT_POLICY)).toEqual({ policy: DEFAULT_POLICY, problems: [] });
    },
  );

  test("has the documented defaults", () => {
    expect(DEFAULT_POLICY).toMatchObject({
      onWorkerFailure: "retry",
      maxAttempts: 5,
      backoff: { initialMs: 1000, factor: 2, maxMs: 60_000, jitter: 0.1 },
      maxRequeues: 0,
      onNack: "dead_letter",
      onError: "ack",
      onMalformed: "dead_letter",
      deadLetter: "auto",
    });
  });

  test("of RoadRunner's kind differs from the default in three keys only", () => {
    expect(RR_POLICY).toEqual({ ...DEFAULT_POLICY, onWorkerFailure: "rr", onNack: "rr", onMalformed: "rr" });
  });

  const written = {
    On_Worker_Failure: "rr",
    max_attempts: 3,
    backoff: { initial: "500ms", factor: 1.5, max: "2m", jitter: 0 },
    max_requeues: 10,
    on_nack: "rr",
    on_error: "retry",
    on_malformed: "retry",
    dead_letter: "dead",
    max_deliveries: 20,
    attempts_header: "attempts",
    weight: 1000,
    fetch_ahead: 64,
    concurrency: 2,
  };
  const read: Policy = {
    onWorkerFailure: "rr",
    maxAttempts: 3,
    backoff: { initialMs: 500, factor: 1.5, maxMs: 120_000, jitter: 0 },
    maxRequeues: 10,
    onNack: "rr",
    onError: "retry",
    onMalformed: "retry",
    deadLetter: "dead",
    maxDeliveries: 20,
    attemptsHeader: "attempts",
    weight: 1000,
    fetchAhead: 64,
    concurrency: 2,
  };

  test.each([
    ["a map", written],
    ["the JSON text of a map", JSON.stringify(written)],
    [
      "a map with its numbers as texts",
      { ...written, max_attempts: "3", weight: "1000", backoff: { ...written.backoff, factor: "1.5" } },
    ],
    ["a map whose back-off is JSON text", { ...written, backoff: JSON.stringify(written.backoff) }],
  ])("is read from %s", (_kind, source) => {
    expect(parsePolicy(source, DEFAULT_POLICY)).toEqual({ policy: read, problems: [] });
  });

  test("takes what it does not say from the given defaults", () => {
    const { policy } = parsePolicy({ max_attempts: null, backoff: { factor: 3 } }, read);

    expect(policy).toEqual({ ...read, backoff: { ...read.backoff, factor: 3 } });
  });

  test("can switch off the header that its defaults count up, but has always a dead letter", () => {
    const { policy } = parsePolicy({ attempts_header: "", dead_letter: "" }, read);

    expect(policy).toEqual({ ...read, attemptsHeader: "" });
  });

  test.each([
    ["5", 5000],
    [1.5, 1500],
    ["1.5", 1500],
    ["1500ms", 1500],
    ["0", 0],
    [0, 0],
    [" 2m ", 120_000],
  ])("reads bare numbers as seconds: %j", (initial, ms) => {
    const { policy, problems } = parsePolicy({ backoff: { initial } }, DEFAULT_POLICY);

    expect(policy.backoff.initialMs).toBe(ms);
    expect(problems).toEqual([]);
  });

  test.each([
    [{ on_nack: "drop" }, "on_nack", 'expected dead_letter or rr, got "drop"'],
    [{ on_nack: true }, "on_nack", "expected dead_letter or rr, got true"],
    [{ max_attempts: -1 }, "max_attempts", "expected a number from 0 to 1000000, got -1"],
    [{ max_attempts: 1.5 }, "max_attempts", "expected an integer from 0 to 1000000, got 1.5"],
    [{ max_attempts: "many" }, "max_attempts", 'expected a number from 0 to 1000000, got "many"'],
    [{ max_attempts: "" }, "max_attempts", 'expected a number from 0 to 1000000, got ""'],
    [{ weight: 0 }, "weight", "expected a number from 1 to 1000, got 0"],
    [{ weight: 1001 }, "weight", "expected a number from 1 to 1000, got 1001"],
    [{ weight: [1] }, "weight", "expected a number from 1 to 1000, got [1]"],
    [{ dead_letter: 7 }, "dead_letter", "expected a text, got 7"],
    [{ backoff: { jitter: 2 } }, "backoff.jitter", "expected a number from 0 to 1, got 2"],
    [{ backoff: { factor: 0.5 } }, "backoff.factor", "expected a number from 1 to 100, got 0.5"],
    [{ backoff: { initial: "soon" } }, "backoff.initial", 'expected a duration such as 500ms, 1s or 2m, got "soon"'],
    [{ backoff: { initial: "-1s" } }, "backoff.initial", 'expected a duration such as 500ms, 1s or 2m, got "-1s"'],
    [{ backoff: { initial: " " } }, "backoff.initial", 'expected a duration such as 500ms, 1s or 2m, got " "'],
    [{ backoff: { initial: true } }, "backoff.initial", "expected a duration such as 500ms, 1s or 2m, got true"],
    [{ backoff: { initial: [5] } }, "backoff.initial", "expected a duration such as 500ms, 1s or 2m, got [5]"],
    [{ backoff: { max: Infinity } }, "backoff.max", "expected a duration such as 500ms, 1s or 2m, got null"],
    [{ backoff: 5 }, "backoff", "expected a map, or the JSON text of one"],
    [{ backoff: { min: 1 } }, "backoff.min", "unknown key, known are initial, factor, max, jitter"],
    ["retry", "", "expected a map, or the JSON text of one"],
    ["5", "", "expected a map, or the JSON text of one"],
    [[], "", "expected a map, or the JSON text of one"],
  ])("reports what it can not use, and leaves it at its default: %j", (source, path, message) => {
    const parsed = parsePolicy(source, DEFAULT_POLICY);

    expect(parsed).toEqual({ policy: DEFAULT_POLICY, problems: [{ path, message }] });
  });

  test("reports every problem, unknown keys with those it knows", () => {
    const { problems } = parsePolicy({ max_attemps: 3, weight: "heavy" }, DEFAULT_POLICY);

    expect(problems.map((problem) => problem.path)).toEqual(["weight", "max_attemps"]);
    expect(problems[1]?.message).toMatch(/^unknown key, known are backoff, on_worker_failure, max_attempts, /);
  });
});
