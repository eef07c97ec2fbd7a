import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { installWorkerLibrary } from "../../support/bundle.ts";
import { repositoryFile } from "../../support/repository.ts";
import { RealPool, within } from "../../support/real-pool.ts";

jest.setTimeout(60_000);

const SCRIPT = `
import { consume } from "jobsd/worker";
console.log("on its way");
for await (const task of consume()) {
  const behaviours = {
    describe: () => task.fail(JSON.stringify({ ...task, payload: Buffer.from(task.payload).toString("hex") })),
    print: () => { console.log("a line by console"); process.stdout.write("a line by stdout\\n"); task.ack(); },
    twice: () => { task.ack(); try { task.ack(); } catch (error) { console.error(error.name); } },
    forget: () => undefined,
    large: () => task.fail("x".repeat(5_000_000)),
    throw: () => { throw new Error("broken " + task.id); },
  };
  (behaviours[task.name] ?? (() => task.ack()))();
}
console.error("loop has ended");
`;

describe("workers in Node", () => {
  const folder = mkdtempSync(join(tmpdir(), "jobsd-node-worker-"));
  const script = join(folder, "worker.mjs");
  const example = join(folder, "example.mjs");

  beforeAll(() => {
    installWorkerLibrary(folder);
    // What is printed before the loop would break the handshake, as with any worker.
    writeFileSync(script, SCRIPT.replace('console.log("on its way")', 'console.error("on its way")'));
    writeFileSync(join(folder, "early.mjs"), SCRIPT);
    copyFileSync(repositoryFile("examples/worker.mjs"), example);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("run jobs and see all their fields", async () => {
    await using world = await RealPool.started({ command: ["node", script] });
    const job = { id: "i", name: "describe", pipeline: "p", headers: { a: ["1"] }, payload: Buffer.from([0, 255]) };

    const task = await world.give(job, { driver: "amqp", queue: "q" });

    const result = await within(task.result, "the answer");
    expect(result.t === "error" && JSON.parse(result.message)).toEqual({
      ...job,
      driver: "amqp",
      queue: "q",
      payload: "00ff",
    });
  });

  test("may print: it is logged, and does not disturb the protocol", async () => {
    await using world = await RealPool.started({ command: ["node", script] });
    const before = world.pids;

    expect(await world.run("print")).toEqual({ t: "ack" });
    expect(await world.run("twice")).toEqual({ t: "ack" });
    expect(await world.run("any")).toEqual({ t: "ack" });

    expect(world.pids).toEqual(before);
    await world.until(() => world.log.messages("info").includes("AlreadyAnsweredError"), "the log lines");
    expect(world.log.messages("info")).toEqual(expect.arrayContaining(["a line by console", "a line by stdout"]));
  });

  test("that print before their loop are refused with the text", async () => {
    const world = new RealPool({ command: ["node", join(folder, "early.mjs")] });
    await using cleaned = world;

    await expect(cleaned.pool.start(AbortSignal.timeout(15_000))).rejects.toThrow(/before the handshake: "on its way/);
  });

  test("that forget an answer fail the job, and are replaced", async () => {
    await using world = await RealPool.started({ command: ["node", script] });

    expect(await world.run("forget")).toMatchObject({
      t: "failed",
      reason: "error",
      message: expect.stringContaining("was not answered"),
    });
    await world.logged("worker will be restarted");
    expect(await world.run("any")).toEqual({ t: "ack" });
  });

  test("that throw fail the job with the error in the message", async () => {
    await using world = await RealPool.started({ command: ["node", script] });

    const task = await world.give({ id: "7", name: "throw" });

    // Leaving the loop with an open task is told to the daemon before the process ends.
    expect(await within(task.result, "the failure")).toMatchObject({ t: "failed", reason: "error" });
    await world.until(() => world.log.messages("info").join("\n").includes("Error: broken 7"), "the error in the log");
  });

  test("may answer with megabytes", async () => {
    await using world = await RealPool.started({ command: ["node", script] });

    const result = await world.run("large");

    expect(result.t === "error" && result.message.length).toBe(5_000_000);
    expect(await world.run("any")).toEqual({ t: "ack" });
  });

  test("[POOL-58] leave their loop on the stop frame", async () => {
    await using world = await RealPool.started({ command: ["node", script], numWorkers: 2 });

    await world.pool.stop(AbortSignal.timeout(10_000));

    expect(world.log.messages("info").filter((line) => line === "loop has ended")).toHaveLength(2);
  });

  test("the example does what it says", async () => {
    await using world = await RealPool.started({ command: ["node", example] });

    expect(await world.run("mail.send", "", '{"to":"ada@example.org"}')).toEqual({ t: "ack" });
    expect(await world.run("nobody's")).toMatchObject({
      t: "requeue",
      delayMs: 10_000,
      message: expect.stringContaining("nobody handles"),
    });

    await world.until(() => world.log.messages("info").includes("mail to ada@example.org"), "the log line");
  });
});
