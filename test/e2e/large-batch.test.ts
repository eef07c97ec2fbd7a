import { readFileSync } from "node:fs";
import { expect, jest, test } from "@jest/globals";
import { encodeBatch } from "../../src/testing/rpc-client.ts";
import { Scene } from "../support/scene.ts";

jest.setTimeout(120_000);

const JOBS = 100_000;
const MIB = 1024 * 1024;

function residentBytes(pid: number | undefined): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

test("[JC-63] an empty batch succeeds; during one of 100,000 jobs other clients are answered, and memory is bounded", async () => {
  await Scene.with({ consume: [], logLevel: "info" }, async (scene) => {
    const other = await scene.daemon.connect();
    await scene.rpc.pushBatch([]);
    await scene.rpc.pushBatch([{ pipeline: "p", id: "first" }]);
    const body = encodeBatch(
      Array.from({ length: JOBS }, (_value, n) => ({ pipeline: "p", id: `job-${n}`, payload: "0123456789abcdef" })),
    );
    const before = residentBytes(scene.daemon.child.pid);
    const progress = { done: false };
    const batch = scene.rpc.sendBatch(body).then(() => {
      progress.done = true;
    });

    // What an observer saw while the batch was on its way: without turns for others, one answer at most.
    const seen: number[] = [];
    while (!progress.done) seen.push(await activeJobs(other));
    await batch;
    const growth = residentBytes(scene.daemon.child.pid) - before;

    expect(await activeJobs(other)).toBe(JOBS + 1);
    expect(seen.length).toBeGreaterThan(10);
    expect(new Set(seen.filter((active) => active > 1 && active <= JOBS)).size).toBeGreaterThan(3);
    expect(growth).toBeLessThan(250 * MIB);
    other.close();
  });
});

async function activeJobs(rpc: Scene["rpc"]): Promise<number> {
  const { stats } = (await rpc.call("jobs.Stat")) as { readonly stats: readonly { readonly active?: number }[] };
  return stats[0]?.active ?? 0;
}
