import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { describe, expect, test } from "@jest/globals";
import { OrphanGuard } from "../../../src/adapters/php-pool/process/orphan-guard.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { isAlive } from "../../support/real-pool.ts";

const PATIENCE_MS = 20_000;

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Guards that are children of this process. */
function guards(): readonly number[] {
  const { stdout } = spawnSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((line) => line.includes("jobsd-orphan-guard"))
    .map((line) => parseInt(line, 10));
}

function aGroup(): ChildProcess & { readonly pid: number } {
  const child = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
  if (child.pid === undefined) throw new Error("sleep can not be started");
  return child as ChildProcess & { readonly pid: number };
}

describe("the guard of workers", () => {
  test("is there while there are any, survives a signal from the terminal, and is started anew when it was killed", async () => {
    const guard = new OrphanGuard(new SystemClock(), new FakeLogger());
    const worker = aGroup();
    try {
      expect(guards()).toEqual([]);
      guard.add(worker.pid);
      await until(() => guards().length === 1, "the guard");
      const [first = 0] = guards();
      process.kill(first, "SIGINT");
      process.kill(first, "SIGTERM");
      expect(isAlive(first)).toBe(true);

      process.kill(first, "SIGKILL");
      await until(() => guards().some((pid) => pid !== first), "another guard");

      // The death of the guard alone ends nobody.
      expect(isAlive(worker.pid)).toBe(true);
      guard.remove(worker.pid);
      await until(() => guards().length === 0, "the end of the guard");
      expect(isAlive(worker.pid)).toBe(true);
    } finally {
      process.kill(-worker.pid, "SIGKILL");
    }
  });
});
