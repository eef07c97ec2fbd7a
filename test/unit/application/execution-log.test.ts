import { expect, test } from "@jest/globals";
import { ExecutionLog } from "../../../src/application/execution-log.ts";
import type { Decision } from "../../../src/domain/outcome.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";

const FACTS = { jobId: "a-1", jobName: "mail", pipeline: "p", startedAtMs: 0 };

function ended(decision: Decision, summary: boolean): FakeLogger {
  const log = new FakeLogger();
  const clock = new FakeClock();
  clock.advance(7);
  new ExecutionLog(clock, log, summary).ended(decision, FACTS);
  return log;
}

/** A logger that drops what is below info. */
class InfoLogger extends FakeLogger {
  override enabled(level?: string): boolean {
    return level !== "debug";
  }
}

test.each<[string, Decision]>([
  ["ok", { t: "ack", failed: false }],
  ["failed", { t: "ack", failed: true }],
  ["rejected", { t: "nack" }],
])("a job that ended as %s has one record of level info if summaries are wanted", (outcome, decision) => {
  const { records } = ended(decision, true);

  expect(records.filter(({ level }) => level === "info")).toEqual([
    {
      channel: "",
      level: "info",
      message: "job finished",
      fields: { ID: "a-1", job: "mail", pipeline: "p", elapsed: 7, outcome },
    },
  ]);
});

test("without summaries a healthy daemon is silent at level info", () => {
  expect(ended({ t: "ack", failed: false }, false).messages("info")).toEqual([]);
});

test("jobs that will run again have no summary", () => {
  for (const decision of [{ t: "retry", headers: {}, delayMs: 0 }, { t: "put_back" }, { t: "release" }] as const) {
    expect(ended(decision, true).messages("info")).toEqual([]);
  }
});

test("facts are wanted at level info only for summaries", () => {
  const clock = new FakeClock();

  expect(new ExecutionLog(clock, new InfoLogger(), true).verbose).toBe(true);
  expect(new ExecutionLog(clock, new InfoLogger(), false).verbose).toBe(false);
});
