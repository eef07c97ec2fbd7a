import { expect, test } from "@jest/globals";
import { CountedDaemon } from "../support/counted-daemon.ts";
import { describeWithPhp } from "../support/php.ts";

describeWithPhp("what is counted, logged and kept of jobs on real workers", () => {
  test("[JC-32] whatever means done is counted as done, once each", async () => {
    await using daemon = await CountedDaemon.start();
    const answers = ['{"type":0,"data":[]}', '{"type":2,"data":[]}', "", "{}", '{"type":7}'];

    for (const [n, answer] of answers.entries()) await daemon.push(`done-${n}`, [`answer ${answer}`]);
    await daemon.until("five executions", () => daemon.outcomes().length === answers.length);

    expect(daemon.outcomes()).toEqual(["ok", "ok", "ok", "ok", "ok"]);
    const warnings = daemon.log.records.filter(({ level, channel }) => level === "warn" && channel === "jobs");
    expect(warnings.map(({ message, fields }) => [message, fields["ID"], fields["type"]])).toEqual([
      ["unknown response type, acknowledging the JOB", "done-4", 7],
    ]);
    expect(await daemon.failed()).toEqual([]);
  });

  test("[JC-33] an error counts as failed and is done, with requeue it runs again with delay and headers", async () => {
    await using daemon = await CountedDaemon.start();
    const again = { message: "x", requeue: true, delay_seconds: 2, headers: { a: ["1"] } };

    await daemon.push("failed", ['answer {"type":1,"data":{"message":"x"}}']);
    await daemon.push("again", [`answer ${JSON.stringify({ type: 1, data: again })}`, "ack"]);
    await daemon.until("three executions", () => daemon.outcomes().length === 3);

    expect(daemon.outcomes()).toEqual(["failed", "requeued", "ok"]);
    const errors = daemon.log.records.filter(({ message }) => message === "jobs protocol error");
    expect(errors.map(({ level, fields }) => [level, fields["ID"], fields["error"]])).toEqual([
      ["error", "failed", "x"],
      ["error", "again", "x"],
    ]);
    const [first, second] = daemon.runs().filter(({ id }) => id === "again");
    expect(second?.headers["a"]).toEqual(["1"]);
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(2000);
  });

  test("[JC-34] a nack without requeue is kept with reason, payload and headers, and not executed again", async () => {
    await using daemon = await CountedDaemon.start();

    await daemon.push("bad", ['answer {"type":3,"data":{"message":"x"}}']);
    await daemon.push("next", ["ack"]);
    await daemon.until("two executions", () => daemon.outcomes().length === 2);

    const [kept, ...more] = await daemon.failed();
    expect(more).toEqual([]);
    expect(kept).toMatchObject({ reason: "nack", error: "x", job: { id: "bad", name: "scripted", pipeline: "p" } });
    expect(kept?.job.headers).toEqual({ script: ['answer {"type":3,"data":{"message":"x"}}'] });
    expect(Buffer.from(kept?.job.payload ?? "").toString()).toBe("of bad");
    expect(daemon.runs().map(({ id }) => id)).toEqual(["bad", "next"]);
  });

  test("[JC-34] with on_nack: rr the driver's own answer is given: memory drops the job", async () => {
    await using daemon = await CountedDaemon.start({ pipelines: "p: { driver: memory, policy: { on_nack: rr } }" });

    await daemon.push("bad", ['answer {"type":3,"data":{"message":"x"}}']);
    await daemon.until("an execution", () => daemon.outcomes().length === 1);

    expect(daemon.outcomes()).toEqual(["failed"]);
    expect(await daemon.failed()).toEqual([]);
  });

  test("[JC-37] an answer that is not understood is kept with the job", async () => {
    await using daemon = await CountedDaemon.start();

    await daemon.push("odd", ["answer not json"]);
    await daemon.until("an execution", () => daemon.outcomes().length === 1);

    expect(daemon.outcomes()).toEqual(["dead"]);
    const [kept] = await daemon.failed();
    expect(kept?.reason).toBe("malformed");
    expect(Buffer.from(kept?.answer ?? "").toString()).toBe("not json");
    expect(daemon.log.messages("error")).toContain("response handler error");
  });

  test("[JC-37] with on_malformed: rr it is acknowledged", async () => {
    await using daemon = await CountedDaemon.start({
      pipelines: "p: { driver: memory, policy: { on_malformed: rr } }",
    });

    await daemon.push("odd", ["answer not json"]);
    await daemon.until("an execution", () => daemon.outcomes().length === 1);

    expect(daemon.outcomes()).toEqual(["failed"]);
    expect(await daemon.failed()).toEqual([]);
  });

  test("[JC-43] a job that takes longer than exec_ttl is killed, counted as a timeout and tried again", async () => {
    await using daemon = await CountedDaemon.start({ pool: "supervisor: { exec_ttl: 1s }" });

    await daemon.push("slow", ["sleep 5", "ack"]);
    await daemon.until("two executions", () => daemon.outcomes().length === 2);

    expect(daemon.outcomes()).toEqual(["retried", "ok"]);
    expect(daemon.metrics.linesOf("attemptFailed")).toEqual(["attemptFailed p timeout"]);
    const [first, second] = daemon.runs();
    expect(second?.pid).not.toBe(first?.pid);
    expect(second?.headers["x-job-attempt"]).toEqual(["1"]);
  });

  test("[RPC-49] a second answer never settles the next job, whenever it comes", async () => {
    await using daemon = await CountedDaemon.start();

    await daemon.push("doubled", ["answer-twice"]);
    await daemon.push("next", ["exit 3", "ack"]);
    const executed = (): readonly string[] => daemon.outcomes().filter((outcome) => outcome !== "returned");
    await daemon.until("three executions", () => executed().length === 3);

    expect(executed()).toEqual(["ok", "retried", "ok"]);
    expect(daemon.log.messages("warn")).toContain("worker wrote more than one answer, it is replaced");
  });
});
