import { readFileSync } from "node:fs";
import { describe, expect, jest, test } from "@jest/globals";
import { encodeBatch } from "../../src/testing/rpc-client.ts";
import { Scene } from "../support/scene.ts";

jest.setTimeout(120_000);

const MIB = 1024 * 1024;

/** Resident memory of a process in bytes. */
function residentBytes(pid: number): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

describe("a memory pipeline with a lot in it", () => {
  test("[JC-56] takes a million and one delayed jobs within 640 MiB, and says how many they are", async () => {
    await Scene.with({ logLevel: "info" }, async (scene) => {
      const payload = Buffer.alloc(200, "x");
      const headers = { traceparent: ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"] };
      const job = (n: number): Parameters<typeof encodeBatch>[0][number] => {
        const id = `00000000-0000-4000-8000-${n.toString().padStart(12, "0")}`;
        return { pipeline: "p", id, name: "app.SomeJob", payload, headers, delaySec: 3600 };
      };

      for (let batch = 0; batch < 1000; batch++) {
        const jobs = Array.from({ length: 1000 }, (_value, n) => job(batch * 1000 + n));
        await scene.rpc.sendBatch(encodeBatch(jobs));
      }
      await scene.rpc.push(job(1_000_000));

      expect(await scene.stat("p")).toMatchObject({ active: 0, delayed: 1_000_001 });
      expect(residentBytes(scene.daemon.pid)).toBeLessThanOrEqual(640 * MIB);
    });
  });

  test("takes a batch of 100,000 in one call", async () => {
    await Scene.with({ logLevel: "info", consume: [] }, async (scene) => {
      const jobs = Array.from({ length: 100_000 }, (_value, n) => ({ pipeline: "p", id: `job-${n}`, payload: "x" }));

      await scene.rpc.pushBatch(jobs);

      expect(await scene.stat("p")).toMatchObject({ active: 100_000, delayed: 0 });
    });
  });
});
