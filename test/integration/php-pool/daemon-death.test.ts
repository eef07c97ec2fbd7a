import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "@jest/globals";
import { bundle } from "../../support/bundle.ts";
import { describeWithPhp } from "../../support/php.ts";
import { isAlive, PHP_WORKER, RealPool, within } from "../../support/real-pool.ts";

describeWithPhp("a daemon that is killed", () => {
  test("takes its idle workers with it: they see the end of their input", async () => {
    await using patience = new RealPool();
    const folder = mkdtempSync(join(tmpdir(), "jobsd-daemon-"));
    const program = join(folder, "daemon.mjs");
    bundle("test/support/pool-daemon.ts", program);
    const options = JSON.stringify({ numWorkers: 2, command: PHP_WORKER });
    const daemon = spawn(process.execPath, [program, options], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: folder },
    });
    try {
      const [line] = (await within(once(createInterface(daemon.stdout), "line"), "the pids")) as [string];
      const pids = JSON.parse(line) as number[];
      expect(pids.map(isAlive)).toEqual([true, true]);

      daemon.kill("SIGKILL");

      await patience.until(() => !pids.some(isAlive), "the workers to be gone");
    } finally {
      daemon.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
