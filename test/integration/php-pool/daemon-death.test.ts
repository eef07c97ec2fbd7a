import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { bundle } from "../../support/bundle.ts";
import { describeWithPhp } from "../../support/php.ts";
import { isAlive, PHP_WORKER, RealPool, within } from "../../support/real-pool.ts";

const MIB = 2 ** 20;

/** A process with a pool of two PHP workers that a test may kill. */
class VictimDaemon implements AsyncDisposable {
  readonly #patience = new RealPool();
  readonly #folder = mkdtempSync(join(tmpdir(), "jobsd-daemon-"));
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  pids: readonly number[] = [];

  private constructor(program: string) {
    const options = JSON.stringify({ numWorkers: 2, command: PHP_WORKER });
    this.#child = spawn(process.execPath, [program, options], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, TMPDIR: this.#folder },
    });
    if (this.#child.stdout === null) throw new TypeError("unreachable: its stdout is a pipe");
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  static async start(program: string): Promise<VictimDaemon> {
    const daemon = new VictimDaemon(program);
    daemon.pids = JSON.parse(await daemon.#line()) as number[];
    return daemon;
  }

  /** Gives one of its workers a job. */
  async give(job: object): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify(job)}\n`);
    expect(await this.#line()).toBe("given");
  }

  /** Pids of children that its workers have told about. */
  async grandchild(): Promise<number> {
    let found: number | undefined;
    await this.#patience.until(() => {
      found = this.#events().find(({ child }) => typeof child === "number")?.child;
      return found !== undefined;
    }, "the worker's child");
    return found ?? 0;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  gone(pids: readonly number[]): Promise<void> {
    return this.#patience.until(() => !pids.some(isAlive), "the processes to be gone");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    for (const pid of this.pids) if (isAlive(pid)) process.kill(pid, "SIGKILL");
    await this.#patience[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #events(): readonly { readonly child?: number }[] {
    try {
      const [name = ""] = this.#eventFiles();
      const lines = readFileSync(name, "utf8").split("\n").slice(0, -1);
      return lines.map((line) => JSON.parse(line) as { readonly child?: number });
    } catch {
      return [];
    }
  }

  #eventFiles(): readonly string[] {
    return readdirSync(this.#folder).map((name) => join(this.#folder, name, "events"));
  }

  async #line(): Promise<string> {
    const next = await within(this.#lines.next(), "a line of the daemon");
    if (next.done === true) throw new Error("the daemon has ended");
    return next.value;
  }
}

describeWithPhp("[POOL-62] a daemon that is killed", () => {
  const folder = mkdtempSync(join(tmpdir(), "jobsd-daemon-program-"));
  const program = join(folder, "daemon.mjs");

  beforeAll(() => {
    bundle("test/support/pool-daemon.ts", program);
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  test("takes its idle workers with it", async () => {
    await using daemon = await VictimDaemon.start(program);
    expect(daemon.pids.map(isAlive)).toEqual([true, true]);

    daemon.kill();

    await daemon.gone(daemon.pids);
  });

  test("takes workers with it that are inside a long job, and what they have started", async () => {
    await using daemon = await VictimDaemon.start(program);
    await daemon.give({ name: "sleep", headers: { arg: ["600"] } });
    await daemon.give({ name: "child" });
    const grandchild = await daemon.grandchild();

    daemon.kill();

    await daemon.gone([...daemon.pids, grandchild]);
  });

  test("takes a worker with it that it was writing a large job to", async () => {
    await using daemon = await VictimDaemon.start(program);
    // Neither reads on: the kernel keeps the beginning of the job.
    for (const pid of daemon.pids) process.kill(pid, "SIGSTOP");
    await daemon.give({ name: "ack", bytes: 64 * MIB });

    daemon.kill();

    await daemon.gone(daemon.pids);
  });
});
