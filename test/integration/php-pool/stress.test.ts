import { readdirSync } from "node:fs";
import { expect, test } from "@jest/globals";
import type { JobResult } from "../../../src/domain/job-result.ts";
import { aTask } from "../../support/worker-tasks.ts";
import { describeWithPhp } from "../../support/php.ts";
import { isAlive, RealPool } from "../../support/real-pool.ts";

const openFiles = (): number => readdirSync("/proc/self/fd").length;

const MIX = [
  "ack",
  "ack",
  "ack",
  "ack",
  "fail",
  "error",
  "empty",
  "double",
  "exit",
  "throw",
  "stop",
  "garbage",
  "late-double",
];

describeWithPhp("many jobs with all kinds of trouble", () => {
  test("every job gets exactly one result, size, processes and files are right at the end", async () => {
    await using world = await RealPool.started({ numWorkers: 4 });
    await world.run("ack");
    await world.until(() => world.pool.free === 4, "all workers");
    const filesBefore = openFiles();
    const tasks = Array.from({ length: 1500 }, (_, index) => {
      // Mostly sound jobs: each loss costs the start of a PHP process.
      const name = index % 5 === 0 ? (MIX[(index / 5) % MIX.length] ?? "ack") : "ack";
      return aTask({ id: `job ${index}`, name, headers: name === "exit" ? { arg: ["3"] } : {} });
    });

    let next = 0;
    const seen = new Set<number>();
    while (next < tasks.length) {
      await world.until(() => world.pool.free > 0, "a free worker");
      for (const { pid } of world.pool.workers()) seen.add(pid);
      while (world.pool.free > 0 && next < tasks.length) {
        const task = tasks[next++];
        if (task !== undefined) world.pool.run(task);
      }
    }
    await world.until(() => tasks.every(({ results }) => results.length > 0), "all results");
    await world.until(() => world.pool.free === 4, "all workers");

    expect(tasks.filter(({ results }) => results.length !== 1)).toEqual([]);
    for (const { job, results } of tasks) expect(possible(job.name)).toContain(results[0]?.t);
    const alive = world.pids;
    await world.until(
      () => [...seen].every((pid) => alive.includes(pid) || !isAlive(pid)),
      "the replaced ones to be gone",
    );
    expect(world.pool.status()).toMatchObject({ size: 4, ready: 4 });
    await world.until(() => openFiles() <= filesBefore, "all files to be closed");
  });
});

/** Results a job may get; a worker may have been on its way out when any job was written to it. */
function possible(name: string): readonly JobResult["t"][] {
  const lost: readonly JobResult["t"][] = ["failed", "not_started"];
  if (name === "fail") return ["error", ...lost];
  if (["error", "exit", "throw", "stop", "garbage"].includes(name)) return lost;
  return ["ack", ...lost];
}
