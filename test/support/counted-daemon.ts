import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServiceIdentifier } from "inversify";
import { PushJob } from "../../src/application/push-job.ts";
import type { FailedJob } from "../../src/domain/ports/failed-store.ts";
import { loadConfig } from "../../src/infrastructure/config/load-config.ts";
import { createJobsd, type Jobsd } from "../../src/infrastructure/jobsd.ts";
import { TOKENS } from "../../src/infrastructure/tokens.ts";
import { aJob } from "../../src/testing/a-job.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../src/testing/fake-metrics.ts";
import { SimulatedBrokerFactory } from "./simulated-broker.ts";
import { sceneConfig, type SceneOptions, type WorkerRun } from "./scene.ts";

const PATIENCE_MS = 30_000;

/** A daemon inside the test, with real workers and without RPC, whose counters and failed jobs can be looked at. */
export class CountedDaemon implements AsyncDisposable {
  readonly metrics = new FakeMetrics();
  readonly log = new FakeLogger();
  /** The broker behind pipelines with driver `simulated`, for those that have one. */
  readonly brokers = new SimulatedBrokerFactory();
  readonly #jobsd: Jobsd;
  readonly #folder: string;
  readonly #previousLog = process.env["JOBSD_TEST_LOG"];

  private constructor(options: SceneOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), "jobsd-counted-"));
    process.env["JOBSD_TEST_LOG"] = join(this.#folder, "runs.log");
    const text = `version: "3"\n${sceneConfig(options)}\njobsd: { failed_store: { path: "" } }\n`;
    const { config } = loadConfig({ path: "counted.rr.yaml", readFile: () => text });
    this.#jobsd = createJobsd(config, this.log);
    this.#jobsd.container.rebind(TOKENS.Metrics).toConstantValue(this.metrics);
    this.#jobsd.container.bind(TOKENS.DriverFactory).toConstantValue(this.brokers);
    this.brokers.clock = this.#jobsd.container.get(TOKENS.Clock);
  }

  static async start(options: SceneOptions = {}): Promise<CountedDaemon> {
    const daemon = new CountedDaemon(options);
    await daemon.#jobsd.start();
    return daemon;
  }

  /** A use case of the daemon. */
  get<T>(useCase: ServiceIdentifier<T>): T {
    return this.#jobsd.container.get(useCase);
  }

  /** What SIGTERM does. */
  stop(): Promise<void> {
    return this.#jobsd.stop();
  }

  /** A job with one step for each execution, see test/php/script-worker.php. */
  async push(id: string, script: readonly string[]): Promise<void> {
    const job = aJob({ id, pipeline: "p", name: "scripted", headers: { script }, payload: Buffer.from(`of ${id}`) });
    await this.#jobsd.container.get(PushJob).execute(job);
  }

  /** How executions ended so far, in order. */
  outcomes(): readonly string[] {
    return this.metrics.linesOf("executed").map((line) => line.split(" ")[3] ?? "");
  }

  async failed(): Promise<readonly FailedJob[]> {
    const page = await this.#jobsd.container.get(TOKENS.FailedStore).list({ limit: 100 });
    return page.entries;
  }

  runs(): readonly WorkerRun[] {
    const file = join(this.#folder, "runs.log");
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as WorkerRun).filter(({ event }) => event === "run");
  }

  /** Waits for a fact. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!holds()) {
      if (Date.now() > deadline) throw new Error(`${what} did not come: ${this.metrics.lines.join("; ")}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#jobsd.stop();
    if (this.#previousLog === undefined) delete process.env["JOBSD_TEST_LOG"];
    else process.env["JOBSD_TEST_LOG"] = this.#previousLog;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
