import { expect, test } from "@jest/globals";
import { describeWithPhp } from "../../support/php.ts";
import { RealPool } from "../../support/real-pool.ts";
import { repositoryFile } from "../../support/repository.ts";
import { aTask, type RecordedTask } from "../../support/worker-tasks.ts";

const COMMAND = ["php", repositoryFile("test/php/by-header.php")];
const PIPELINING = { maxDepth: 8, windowMs: 50, fence: true };
const JOBS = 1000;

interface Run {
  readonly tasks: readonly RecordedTask[];
  /** Most jobs that were in the worker at once. */
  readonly deepest: number;
  /** Ids of the jobs workers began with, in order. */
  readonly begun: readonly string[];
  readonly world: RealPool;
}

/** Gives 1,000 jobs to one worker as fast as it takes them; number 500 has header `do`. Each is given once. */
async function runThousand(what: string): Promise<Run & AsyncDisposable> {
  const world = await RealPool.started({ command: COMMAND, pipelining: PIPELINING });
  const tasks = Array.from({ length: JOBS }, (_value, n) =>
    aTask({ id: `job-${n}`, name: "same", headers: n === 500 && what !== "" ? { do: [what] } : {} }),
  );
  let next = 0;
  let deepest = 0;
  const fill = (): void => {
    for (let task = tasks[next]; task !== undefined; task = tasks[next]) {
      if (world.pool.free === 0 && !(world.pool.spare && world.pool.accepts(task.job))) break;
      world.pool.run(task);
      next += 1;
      deepest = Math.max(deepest, next - tasks.filter(({ results }) => results.length > 0).length);
    }
  };
  world.pool.onFree(fill);
  fill();
  await world.until(() => tasks.every(({ results }) => results.length > 0), "a result of every job");
  const begun = world.events().map((event) => String(event["begun"]));
  return { tasks, deepest, begun, world, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() };
}

describeWithPhp("short jobs behind each other in one PHP worker", () => {
  test("they are executed once each, in their order, several at a time", async () => {
    await using run = await runThousand("");

    expect(run.deepest).toBeGreaterThan(1);
    expect(run.begun).toEqual(run.tasks.map(({ job }) => job.id));
    expect(run.tasks.every(({ results }) => results.length === 1 && results[0]?.t === "ack")).toBe(true);
  });

  test("[JC-65] when the worker ends in one of them, only that one has failed, and no other has begun unnoticed", async () => {
    await using run = await runThousand("exit");

    const failed = run.tasks.filter(({ results }) => results[0]?.t === "failed");
    expect(failed.map(({ job }) => job.id)).toEqual(["job-500"]);
    const notStarted = run.tasks.filter(({ results }) => results[0]?.t === "not_started").map(({ job }) => job.id);
    expect(run.begun.filter((id) => notStarted.includes(id))).toEqual([]);
    const acknowledged = run.tasks.filter(({ results }) => results[0]?.t === "ack").map(({ job }) => job.id);
    expect(run.begun.filter((id) => id !== "job-500")).toEqual(acknowledged);
    expect(acknowledged.length + notStarted.length).toBe(JOBS - 1);
  });

  test("[JC-66] a doubled answer belongs to nobody: the worker is replaced, every job is executed once", async () => {
    await using run = await runThousand("double");

    const [report] = run.world.log.records.filter(({ message }) => message.includes("more than one answer"));
    expect(report).toMatchObject({ fields: { jobId: "job-500" } });
    expect(run.tasks.filter(({ results }) => results[0]?.t !== "ack").map(({ results }) => results[0]?.t)).toEqual(
      run.tasks.filter(({ results }) => results[0]?.t === "not_started").map(() => "not_started"),
    );
    const acknowledged = run.tasks.filter(({ results }) => results[0]?.t === "ack").map(({ job }) => job.id);
    expect(run.begun).toEqual(acknowledged);
  });
});
