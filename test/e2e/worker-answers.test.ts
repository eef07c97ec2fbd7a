import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import type { DaemonLogLine } from "../../src/testing/daemon-process.ts";
import { Scene, testFile, workerPids } from "../support/scene.ts";

jest.setTimeout(60_000);

const answer = (type: number, data?: unknown): string => `answer ${JSON.stringify({ type, data })}`;

describe("answers of the worker", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open({
      pipelines: [
        "p: { driver: memory }",
        "kept: { driver: memory, policy: { dead_letter: graveyard } }",
        "upstream: { driver: memory, policy: { on_nack: rr, on_malformed: rr } }",
        "graveyard: { driver: memory }",
      ].join(", "),
      consume: ["p", "kept", "upstream", "graveyard"],
    });
  });
  afterAll(() => scene.close());

  const records = (id: string): readonly DaemonLogLine[] => scene.daemon.log.filter(({ ID }) => ID === id);
  const messages = (id: string): readonly string[] => records(id).map(({ msg }) => msg);
  const runsOf = (id: string, pipeline?: string): ReturnType<Scene["runs"]> =>
    scene.runs(pipeline).filter((run) => run.id === id);
  /** Resolves when the job has ended and a later job, too, so that it can be said that it did not run again. */
  const settled = async (id: string, message: string): Promise<void> => {
    await scene.logged(message, 1, id);
    await scene.rpc.push({ pipeline: "p", id: `after ${id}` });
    await scene.logged("job was processed successfully", 1, `after ${id}`);
  };
  /** Resolves when the executions of the job are that many. */
  const ranTimes = async (id: string, count: number): ReturnType<Scene["ran"]> => {
    await scene.daemon.waitFor(`execution ${count} of ${id}`, () => runsOf(id).length >= count);
    return runsOf(id);
  };

  test.each([
    ["complete", answer(0, [])],
    ["ack", answer(2, [])],
    ["nothing", "answer"],
    ["an empty object", "answer {}"],
    ["null", "answer null"],
  ])("%s acknowledges the job", async (what, step) => {
    const id = `ack ${what}`;

    await scene.pushScript(id, [step]);
    await settled(id, "job was processed successfully");

    const expected = ["job was pushed successfully", "job processing was started", "job was processed successfully"];
    expect([...messages(id)].sort()).toEqual(expected.sort());
    expect(runsOf(id)).toHaveLength(1);
  });

  test.each([7, 42])("the unknown type %d acknowledges the job with a warning", async (type) => {
    const id = `type ${type}`;

    await scene.pushScript(id, [answer(type)]);
    await settled(id, "job was processed successfully");

    expect(records(id)).toContainEqual(
      expect.objectContaining({ level: "warn", msg: "unknown response type, acknowledging the JOB", type }),
    );
    expect(runsOf(id)).toHaveLength(1);
  });

  test("an error ends the job and is logged with its text; with requeue it runs again, later and changed", async () => {
    const again = answer(1, { message: "x", requeue: true, delay_seconds: 2, headers: { a: ["new"] } });

    await scene.pushScript("failed", [answer(1, { message: "x", requeue: false, delay_seconds: 0 })]);
    await scene.pushScript("again", [again, "ack"], { headers: { b: ["kept"] } });
    await settled("failed", "job processing finished with an error");
    const [first, second] = await ranTimes("again", 2);

    expect(records("failed")).toContainEqual(
      expect.objectContaining({ level: "error", msg: "jobs protocol error", error: "x" }),
    );
    expect(runsOf("failed")).toHaveLength(1);
    expect(messages("again")).toContain("job was re-queued");
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(1995);
    expect(second?.headers).toMatchObject({ a: ["new"], b: ["kept"] });
  });

  test("a nack makes the job a dead letter with its payload and headers", async () => {
    const headers = { a: ["1", "2"] };

    await scene.pushScript("dead", [answer(3, { message: "x", requeue: false }), "ack"], {
      pipeline: "kept",
      payload: "body of the job",
      headers,
    });
    const [copy] = await scene.ran(1, "graveyard");
    await scene.logged("job was given up", 1, "dead");
    const [original] = scene.runs("kept");

    expect(records("dead")).toContainEqual(
      expect.objectContaining({ msg: "job was given up", reason: "nack", attempts: 0, error: "x" }),
    );
    expect(scene.runs("kept")).toHaveLength(1);
    expect(copy).toMatchObject({ id: "dead", sha256: original?.sha256, headers });
    expect(copy?.headers).toMatchObject({ "x-job-dead-reason": ["nack"], "x-job-dead-pipeline": ["kept"] });
  });

  test("with on_nack: rr a nacked memory job is dropped as RoadRunner does", async () => {
    await scene.pushScript("dropped", [answer(3, { message: "x" })], { pipeline: "upstream" });
    await settled("dropped", "job was rejected, as jobsd.compat or its policy says");

    expect(runsOf("dropped")).toHaveLength(1);
    expect(messages("dropped")).not.toContain("job was given up");
  });

  test("[JC-35] a nack with requeue keeps the headers, a requeue replaces those it names", async () => {
    const nack = answer(3, { message: "x", requeue: true, delay_seconds: 3, headers: { a: ["ignored"] } });
    const requeue = answer(4, { message: "x", headers: { a: ["new"] } });

    await scene.pushScript("nacked", [nack, "ack"], { headers: { a: ["old"] } });
    await scene.pushScript("requeued", [requeue, "ack"], { headers: { a: ["old"], b: ["kept"] } });
    const requeued = await ranTimes("requeued", 2);
    const [first, second] = await ranTimes("nacked", 2);

    expect(second?.headers).toEqual(first?.headers);
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(2995);
    expect(requeued[1]?.headers).toMatchObject({ a: ["new"], b: ["kept"] });
  });

  test.each([
    ["no data", '{"type":4}', 0],
    ["a list as data", '{"type":4,"data":[]}', 0],
    ["a list as headers", '{"type":4,"data":{"headers":[]}}', 0],
    ["a list of maps as headers", '{"type":4,"data":{"headers":[{"a":["1"]}]}}', 0],
    ["a text as header", '{"type":4,"data":{"headers":{"a":"1"}}}', 0],
    ["a numeric text as delay", '{"type":4,"data":{"delay_seconds":"5"}}', 5],
    ["a fraction as delay", '{"type":4,"data":{"delay_seconds":1.5}}', 2],
    ["a negative delay", '{"type":4,"data":{"delay_seconds":-5}}', 0],
  ])("[JC-36] a requeue with %s is understood", async (what, body, delay) => {
    const id = `tolerant ${what}`;

    await scene.pushScript(id, [`answer ${body}`, "ack"]);
    await scene.logged("job was re-queued", 1, id);

    expect(records(id)).toContainEqual(expect.objectContaining({ msg: "job was re-queued", delay }));
    if (delay === 0) await ranTimes(id, 2);
    if (body.includes('"a"')) expect(runsOf(id)[1]?.headers).toMatchObject({ a: ["1"] });
  });

  test("an answer that can not be read makes the job a dead letter", async () => {
    await scene.pushScript("garbled", ["answer not json"], { pipeline: "kept", headers: { garbled: ["1"] } });
    await scene.logged("job was given up", 1, "garbled");

    expect(records("garbled")).toContainEqual(
      expect.objectContaining({ level: "error", msg: "response handler error" }),
    );
    expect(records("garbled")).toContainEqual(expect.objectContaining({ reason: "malformed" }));
    expect(runsOf("garbled", "kept")).toHaveLength(1);
  });

  test("with on_malformed: rr an answer that can not be read acknowledges", async () => {
    await scene.pushScript("garbled rr", ["answer not json"], { pipeline: "upstream" });
    await settled("garbled rr", "job processing finished with an error");

    expect(messages("garbled rr")).not.toContain("job was given up");
    expect(runsOf("garbled rr")).toHaveLength(1);
  });

  test("[JC-40] retries that the application counts itself leave the daemon's count alone", async () => {
    await scene.pushScript("spiral", ["retry 3"]);
    const runs = await ranTimes("spiral", 4);
    await settled("spiral", "job was processed successfully");

    expect(runsOf("spiral")).toHaveLength(4);
    expect(runs.map(({ headers }) => headers["attempts"]?.[0] ?? "0")).toEqual(["0", "1", "2", "3"]);
    expect(runs.flatMap(({ headers }) => Object.keys(headers))).not.toContain("x-job-attempt");
  });

  test("[RPC-45] each type from 0 to 4 does what RoadRunner does, with and without headers, delay and requeue", async () => {
    const data = { message: "m", delay_seconds: 1, headers: { n: ["1"] } };
    const scripts: Readonly<Record<string, string>> = {
      "0 plain": answer(0, []),
      "0 with data": answer(0, data),
      "1 plain": answer(1, { message: "m" }),
      "1 with data": answer(1, { ...data, requeue: false }),
      "1 requeue": answer(1, { message: "m", requeue: true }),
      "1 requeue with data": answer(1, { ...data, requeue: true }),
      "2 plain": answer(2, []),
      "2 with data": answer(2, data),
      "3 plain": answer(3, { message: "m" }),
      "3 with data": answer(3, { ...data, requeue: false }),
      "3 requeue": answer(3, { message: "m", requeue: true }),
      "3 redelivery, the older name": answer(3, { message: "m", redelivery: true }),
      "3 requeue with data": answer(3, { ...data, requeue: true }),
      "4 plain": answer(4, { message: "m" }),
      "4 with data": answer(4, data),
    };

    for (const [id, step] of Object.entries(scripts)) await scene.pushScript(id, [step, "ack"]);
    const twice = Object.keys(scripts).filter((id) => /^4|requeue|redelivery/.test(id));
    for (const id of twice) await scene.logged("job was processed successfully", 1, id);
    await scene.logged("job was given up", 1, "3 with data");
    await scene.rpc.push({ pipeline: "p", id: "last of the types" });
    await scene.logged("job was processed successfully", 1, "last of the types");

    for (const id of Object.keys(scripts)) {
      expect([id, runsOf(id).length]).toEqual([id, twice.includes(id) ? 2 : 1]);
    }
    for (const id of twice) {
      const [first, second] = runsOf(id);
      const waits = id.endsWith("with data");
      const changes = waits && !id.startsWith("3");
      expect([id, second?.headers["n"]]).toEqual([id, changes ? ["1"] : undefined]);
      if (waits) expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(995);
    }
  });

  test("[RPC-46] answers at the edge of the protocol are read as far as they can be", async () => {
    const later = answer(4, { delay_seconds: "5" });
    const scripts = { unknown: answer(42), missing: 'answer {"data":[]}', empty: "answer", bad: "answer not json" };

    for (const [id, step] of Object.entries(scripts)) await scene.pushScript(`edge ${id}`, [step, "ack"]);
    await scene.pushScript("edge list", [answer(3, []), "ack"]);
    await scene.pushScript("edge delay", [later, "ack"]);
    for (const id of ["edge bad", "edge list"]) await scene.logged("job was given up", 1, id);
    const [first, second] = await ranTimes("edge delay", 2);

    for (const id of ["edge unknown", "edge missing", "edge empty"]) {
      expect(messages(id)).toContain("job was processed successfully");
    }
    expect(records("edge unknown")).toContainEqual(expect.objectContaining({ level: "warn", type: 42 }));
    expect(records("edge bad")).toContainEqual(expect.objectContaining({ reason: "malformed" }));
    expect(records("edge list")).toContainEqual(expect.objectContaining({ reason: "nack" }));
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThan(4995);
    for (const id of ["unknown", "missing", "empty", "bad", "list"]) expect(runsOf(`edge ${id}`)).toHaveLength(1);
  });

  test("[RPC-47] after an error frame the same worker goes on, and the job is tried again", async () => {
    await scene.pushScript("soft", ["error worker level error", "ack"]);
    await scene.logged("job is tried again", 1, "soft");
    await scene.rpc.push({ pipeline: "p", id: "next" });
    const [soft, again] = await ranTimes("soft", 2);
    const [next] = await ranTimes("next", 1);

    expect(next?.pid).toBe(soft?.pid);
    expect(again?.headers["x-job-attempt"]).toEqual(["1"]);
    expect(records("soft")).toContainEqual(expect.objectContaining({ reason: "error", error: "worker level error" }));
  });
});

describe("workers that break the rules of the pipe", () => {
  const command = `php ${testFile("php/worker.php")}`;
  /** What `worker.php` wrote about a job, one entry an execution. */
  const executions = (scene: Scene, id: string): readonly { readonly pid: number }[] =>
    scene.events().filter((event) => (event as unknown as { job?: { id?: string } }).job?.id === id);
  const pidOf = (scene: Scene, id: string): number | undefined => executions(scene, id)[0]?.pid;

  test("[RPC-48] the job at which a worker asks to be replaced runs on another one, exactly once", async () => {
    await Scene.with({ command }, async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "first", name: "stop-second" });
      await scene.rpc.push({ pipeline: "p", id: "moved", name: "stop-second" });
      await scene.logged("job was processed successfully", 1, "moved");
      await scene.rpc.push({ pipeline: "p", id: "last", name: "ok" });
      await scene.logged("job was processed successfully", 1, "last");

      const done = scene.daemon.logged("job was processed successfully").map(({ ID }) => ID);
      expect(done).toEqual(["first", "moved", "last"]);
      expect(workerPids(scene.daemon)).toHaveLength(2);
      expect(scene.daemon.logged("job is tried again")).toEqual([]);
    });
  });

  test("a second answer, while no other job waits, settles nothing and costs the worker its place", async () => {
    await Scene.with({ command }, async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "double", name: "double" });
      await scene.daemon.waitFor("a new worker", () => workerPids(scene.daemon).length === 2);
      await scene.rpc.push({ pipeline: "p", id: "next", name: "exit", headers: { arg: ["3"] } });
      await scene.logged("job processed with errors", 1, "next");

      expect(scene.daemon.logged("job was processed successfully").map(({ ID }) => ID)).toEqual(["double"]);
      expect(pidOf(scene, "next")).not.toBe(pidOf(scene, "double"));
    });
  });

  test("[RPC-50] what a job echoes is logged, and the job succeeds", async () => {
    await Scene.with({ command }, async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "loud", name: "stderr", payload: "text of the job\n" });
      await scene.logged("job was processed successfully", 1, "loud");

      await scene.daemon.waitFor("the text", () => scene.daemon.log.some(({ msg }) => msg.includes("text of the job")));
    });
  });

  test("[RPC-51] text on stdout is logged, the worker is replaced and the job tried again", async () => {
    await Scene.with({ command }, async (scene) => {
      await scene.rpc.push({ pipeline: "p", id: "noisy", name: "garbage", headers: { "x-job-max-attempts": ["2"] } });
      await scene.logged("job was given up", 1, "noisy");

      const failures = scene.daemon.logged("job processed with errors");
      expect(failures).toHaveLength(2);
      expect(JSON.stringify(scene.daemon.log)).toContain("garbage on stdout!");
      expect(scene.daemon.logged("job was processed successfully")).toEqual([]);
      expect(executions(scene, "noisy")).toHaveLength(2);
      await scene.daemon.waitFor("a new worker", () => workerPids(scene.daemon).length === 3);
    });
  });
});
