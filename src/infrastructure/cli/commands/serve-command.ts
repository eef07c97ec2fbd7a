import type { Container } from "inversify";
import { JobsError, messageOf } from "../../../domain/errors.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import type { Config } from "../../config/config.ts";
import { type LoadedConfig, loadConfig } from "../../config/load-config.ts";
import { formatProblem } from "../../config/problems.ts";
import { resolveConfigPath } from "../../config/resolve-config-path.ts";
import { createJobsd } from "../../jobsd.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { listenToSignals } from "../../lifecycle/signals.ts";
import { Logs } from "../../logging/channels.ts";
import { openSink } from "../../logging/sinks.ts";
import { TOKENS } from "../../tokens.ts";
import { RR_VERSION, VERSION } from "../../version.ts";
import type { CliContext, GlobalOptions } from "../program.ts";

/** Body of `serve`: runs the daemon until it is told to stop. Resolves with the exit code. */
export async function serve(options: GlobalOptions, { writeOut }: Pick<CliContext, "writeOut">): Promise<number> {
  const { path, directory } = resolveConfigPath(options.config, options.workDir, process.cwd());
  process.chdir(directory);
  const loaded = loadConfig({ path, overrides: options.overrides });
  const logs = new Logs(loaded.config.logs, {
    nowMs: Date.now,
    openSink,
    colour: process.stdout.isTTY && process.env["NO_COLOR"] === undefined,
  });
  const say = (line: string): void => {
    if (!options.silent) writeOut(`${line}\n`);
  };
  try {
    reportProblems(loaded, logs.root);
    return await run(loaded.config, logs, say);
  } finally {
    logs.close();
  }
}

function reportProblems({ warnings, infos }: LoadedConfig, log: Logger): void {
  for (const problem of warnings) log.warn({ path: problem.path }, formatProblem(problem));
  for (const problem of infos) log.info({ path: problem.path }, formatProblem(problem));
}

async function run(config: Config, logs: Logs, say: (line: string) => void): Promise<number> {
  const log = logs.root;
  const jobsd = createJobsd(config, log);
  const stopRequest = listenForStop(jobsd.container, logs, say, config);
  let exitCode: number = EXIT_CODES.ok;
  try {
    const started = jobsd.start();
    // A stop that comes first makes the start fail; that failure is nobody's business any more.
    started.catch(() => undefined);
    await Promise.race([started, stopRequest.stopped]);
    if (!stopRequest.requested()) announce(config, log, say);
    exitCode = await stopRequest.stopped;
  } catch (error) {
    if (!stopRequest.requested()) {
      exitCode = EXIT_CODES.failure;
      log.error({ err: error }, "the daemon could not start");
      process.stderr.write(`${describe(error)}\n`);
    }
  }
  await jobsd.stop();
  log.info({}, "the daemon stopped");
  stopRequest.close();
  return exitCode;
}

function announce(config: Config, log: Logger, say: (line: string) => void): void {
  const { jobs, jobsd } = config;
  const workers = jobs.pools.reduce((sum, pool) => sum + pool.numWorkers, 0);
  const fields = { version: VERSION, workers, pipelines: jobs.pipelines.length };
  log.info({ ...fields, memoryMaxBytes: jobsd.memory.maxBytes }, "the daemon is ready");
  say(`[INFO] jobsd server started; version: ${VERSION}, stands in for RoadRunner ${RR_VERSION}`);
}

/** Errors of ours are for the operator; anything else is a bug, for which the stack is wanted. */
function describe(error: unknown): string {
  if (JobsError.is(error) || !(error instanceof Error)) return messageOf(error);
  return error.stack ?? error.message;
}

interface StopRequest {
  /** Resolves with the exit code when the daemon is to stop; never rejects. */
  readonly stopped: Promise<number>;
  requested(): boolean;
  close(): void;
}

/** What ends the daemon: a signal, or an error nobody caught, after which nothing can be relied upon. */
function listenForStop(container: Container, logs: Logs, say: (line: string) => void, config: Config): StopRequest {
  let request: (exitCode: number) => void = () => undefined;
  let requested = false;
  const stopped = new Promise<number>((resolve) => {
    request = (exitCode) => {
      requested = true;
      resolve(exitCode);
    };
  });
  const stopListening = listenToSignals({
    stop: (signal) => {
      say(`stop signal received, grace timeout is: ${config.graceMs / 1000} seconds`);
      logs.root.info({ signal }, "stop signal received");
      request(EXIT_CODES.ok);
    },
    forceExit: () => {
      say("exit forced");
      for (const pool of container.getAll(TOKENS.WorkerPool)) pool.abort();
      logs.close();
      process.exit(EXIT_CODES.failure);
    },
    hangUp: () => {
      logs.reopen();
    },
  });
  const failed = (error: unknown): void => {
    logs.root.error({ err: error }, "internal error, the daemon stops after its running jobs");
    request(EXIT_CODES.failure);
  };
  process.on("uncaughtException", failed);
  process.on("unhandledRejection", failed);
  return {
    stopped,
    requested: () => requested,
    close: () => {
      stopListening();
      process.off("uncaughtException", failed);
      process.off("unhandledRejection", failed);
    },
  };
}
