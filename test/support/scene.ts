import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type DaemonOptions, DaemonProcess } from "../../src/testing/daemon-process.ts";
import { RpcCallError, type JobToPush, type RpcClient } from "../../src/testing/rpc-client.ts";

/** Path of a file of the test tree. */
export function testFile(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

export const SCRIPT_WORKER = `php ${testFile("php/script-worker.php")}`;

/** What `test/php/script-worker.php` wrote about one execution. */
export interface WorkerRun {
  /** `slept`: step `sleep` is over and the answer is written next; has only time, pid and id. `end`: the loop ended. */
  readonly event: "run" | "slept" | "end";
  readonly atMs: number;
  /** 1 for the first execution of a job with a script. */
  readonly run: number;
  readonly pid: number;
  readonly id: string;
  readonly job: string;
  readonly driver: string;
  readonly pipeline: string;
  /** Keys of the context, in order. */
  readonly keys: readonly string[];
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly bytes: number;
  readonly sha256: string;
}

export interface SceneOptions extends Partial<Omit<DaemonOptions, "config">> {
  /** Default: the script worker. */
  readonly command?: string;
  readonly workers?: number;
  /** Further keys of `jobs.pool`, YAML flow style. */
  readonly pool?: string;
  /** `jobs.pools` in place of `jobs.pool`, YAML flow style. */
  readonly pools?: string;
  /** `jobs.pipelines`, YAML flow style; default one memory pipeline `p`. */
  readonly pipelines?: string;
  /** `jobs.consume`, default `p`. */
  readonly consume?: readonly string[];
  /** Further keys of `jobs`, YAML flow style. */
  readonly jobs?: string;
  /** Further keys of `server`, YAML flow style. */
  readonly server?: string;
  /** Further sections. */
  readonly more?: string;
  /** The whole configuration, in place of what the other options make. */
  readonly config?: string;
}

/** The configuration of a scene. */
export function sceneConfig(options: SceneOptions): string {
  if (options.config !== undefined) return options.config;
  const { command = SCRIPT_WORKER, workers = 1, consume = ["p"], pipelines = "p: { driver: memory }" } = options;
  const and = (text: string | undefined): string => (text === undefined ? "" : `, ${text}`);
  const onePool = `pool: { num_workers: ${workers}${and(options.pool)} }`;
  const pool = options.pools === undefined ? onePool : `pools: { ${options.pools} }`;
  return [
    `server: { command: ${JSON.stringify(command)}${and(options.server)} }`,
    "jobs:",
    `  { consume: [${consume.join(", ")}], ${pool},`,
    `    pipelines: { ${pipelines} }${and(options.jobs)} }`,
    options.more ?? "",
  ].join("\n");
}

/** A running daemon, a connection to it, and what its workers saw. */
export class Scene {
  readonly daemon: DaemonProcess;
  readonly rpc: RpcClient;
  readonly #logFile: string;

  private constructor(daemon: DaemonProcess, rpc: RpcClient, logFile: string) {
    this.daemon = daemon;
    this.rpc = rpc;
    this.#logFile = logFile;
  }

  /** Close it in any case. */
  static async open(options: SceneOptions = {}): Promise<Scene> {
    const folder = mkdtempSync(join(tmpdir(), "jobsd-scene-"));
    const logFile = join(folder, "runs.log");
    const env = { ...options.env, JOBSD_TEST_LOG: logFile };
    const daemon = await DaemonProcess.start({ ...options, config: sceneConfig(options), env });
    try {
      return new Scene(daemon, await daemon.connect(), logFile);
    } catch (error) {
      await daemon.kill();
      throw error;
    }
  }

  /** Runs `body` with a daemon that is gone afterwards, whatever happens. */
  static async with(options: SceneOptions, body: (scene: Scene) => Promise<void>): Promise<void> {
    const scene = await Scene.open(options);
    try {
      await body(scene);
    } finally {
      await scene.close();
    }
  }

  async close(): Promise<void> {
    this.rpc.close();
    await this.daemon.stop();
    rmSync(join(this.#logFile, ".."), { recursive: true, force: true });
  }

  /** Lines of the workers, in the order in which they were written. */
  events(): readonly WorkerRun[] {
    if (!existsSync(this.#logFile)) return [];
    const lines = readFileSync(this.#logFile, "utf8").split("\n");
    return lines.slice(0, -1).map((line) => JSON.parse(line) as WorkerRun);
  }

  /** Executions so far, of one pipeline or of all. */
  runs(pipeline?: string): readonly WorkerRun[] {
    return this.events().filter(
      ({ event, pipeline: own }) => event === "run" && (pipeline === undefined || own === pipeline),
    );
  }

  /** Resolves with the executions of the pipeline when there are that many. */
  async ran(count: number, pipeline?: string): Promise<readonly WorkerRun[]> {
    await this.daemon.waitFor(`execution ${count}`, () => this.runs(pipeline).length >= count);
    return this.runs(pipeline);
  }

  /** Resolves when the daemon has logged the message that often about jobs of these ids or any. */
  async logged(message: string, count = 1, id?: string): Promise<void> {
    const found = (): number =>
      this.daemon.logged(message).filter((line) => id === undefined || line["ID"] === id).length;
    await this.daemon.waitFor(`log record "${message}"`, () => found() >= count);
  }

  /** A memory pipeline of this test alone, that consumes at once if `resume` is true. */
  async declare(name: string, options: Readonly<Record<string, string>> = {}, resume = true): Promise<void> {
    await this.rpc.call("jobs.Declare", { pipeline: { driver: "memory", name, ...options } });
    if (resume) await this.rpc.call("jobs.Resume", { pipelines: [name] });
  }

  async stat(pipeline: string): Promise<Readonly<Record<string, unknown>>> {
    const { stats } = (await this.rpc.call("jobs.Stat")) as { stats: Record<string, unknown>[] };
    const found = stats.find((entry) => entry["pipeline"] === pipeline);
    return { active: 0, delayed: 0, reserved: 0, ready: false, ...found };
  }

  async list(): Promise<readonly string[]> {
    const { pipelines = [] } = (await this.rpc.call("jobs.List")) as { pipelines?: string[] };
    return pipelines;
  }

  /** A job with one step for each execution. */
  pushScript(id: string, script: readonly string[], more: Partial<JobToPush> = {}): Promise<void> {
    const { headers = {}, ...rest } = more;
    return this.rpc.push({ pipeline: "p", ...rest, id, headers: { ...headers, script } });
  }
}

/** The daemon's answer to a call that must fail. */
export async function errorText(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    if (error instanceof RpcCallError) return error.message;
    throw error;
  }
  throw new Error("the call succeeded");
}

/** Whether a process exists; one that is only waited for does not count. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Resolves when none of the processes exists any more. */
export async function gone(pids: readonly number[]): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (pids.some(isAlive)) {
    if (Date.now() > deadline) throw new Error(`still running: ${pids.filter(isAlive).join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Pids of the workers the daemon has started so far. */
export function workerPids(daemon: DaemonProcess): readonly number[] {
  return daemon.logged("worker is allocated").map((line) => Number(line["pid"]));
}
