import type { Container } from "inversify";
import { JobsError, messageOf } from "../../../domain/errors.ts";
import type { Logger } from "../../../domain/ports/logger.ts";
import type { Config } from "../../config/config.ts";
import { type LoadedConfig, loadConfig } from "../../config/load-config.ts";
import { formatProblem } from "../../config/problems.ts";
import { resolveConfigPath } from "../../config/resolve-config-path.ts";
import { createJobsd } from "../../jobsd.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { PidFile } from "../../lifecycle/pid-file.ts";
import { listenToSignals } from "../../lifecycle/signals.ts";
import type { Logs } from "../../logging/channels.ts";
import { openLogs } from "../../logging/open-logs.ts";
import { TOKENS } from "../../tokens.ts";
import { RR_VERSION, VERSION } from "../../version.ts";
import type { GlobalOptions, Output } from "../flags.ts";

/** Body of `serve`: runs the daemon until it is told to stop. Resolves with the exit code. */
export async function serve(options: GlobalOptions, { writeOut }: Pick<Output, "writeOut">): Promise<number> {
  const { overrides, dotenv } = options;
  const { path, directory } = resolveConfigPath(options.config, options.workDir, process.cwd());
  process.chdir(directory);
  const loaded = loadConfig({ path, directory, overrides, dotenv });
  // Workers inherit the environment of the daemon.
  Object.assign(process.env, loaded.variables);
  const logs = openLogs(loaded.config.logs);
  const say = (line: string): void => {
    if (!options.silent) writeOut(`${line}\n`);
  };
  let pidFile: PidFile | undefined;
  try {
    reportProblems(loaded, logs.root);
    reportFlags(options, logs.root);
    pidFile = writePidFile(options, loaded.config, logs.root);
    const removePidFile = (): void => pidFile?.remove();
    return await run(loaded.config, { logs, say, removePidFile });
  } finally {
    pidFile?.remove();
    logs.close();
    endSoon();
  }
}

/** What a broker that does not answer has left open must not keep the process. */
function endSoon(): void {
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

function writePidFile({ pid }: GlobalOptions, { jobsd }: Config, log: Logger): PidFile | undefined {
  const path = jobsd.pidFile === "" && pid ? ".pid" : jobsd.pidFile;
  if (path === "") return undefined;
  return PidFile.write(path, process.pid, (running) => {
    log.warn({ path, pid: running }, "the pid file named a process that runs: is this daemon started twice?");
  });
}

function reportFlags({ debug, experimental }: GlobalOptions, log: Logger): void {
  if (debug) log.warn({}, "-d has no effect yet: there are no profiles, use the flags of Node (--cpu-prof, --inspect)");
  if (!experimental) return;
  log.info(
    {},
    "-e has no effect: envfile is always read, and policy.on_malformed says what an unreadable answer means",
  );
}

function reportProblems({ warnings, infos }: LoadedConfig, log: Logger): void {
  for (const problem of warnings) log.warn({ path: problem.path }, formatProblem(problem));
  for (const problem of infos) log.info({ path: problem.path }, formatProblem(problem));
}

/** Time after the end for what is still being written to stdout. */
const LINGER_MS = 500;

const MAX_TIMER_MS = 2 ** 31 - 1;

/** What a running daemon needs of its command line. */
interface ServeContext {
  readonly logs: Logs;
  /** Writes a line of the daemon itself. */
  readonly say: (line: string) => void;
  readonly removePidFile: () => void;
}

async function run(config: Config, context: ServeContext): Promise<number> {
  const { logs, say } = context;
  const log = logs.root;
  const jobsd = createJobsd(config, log);
  // Timers of the daemon do not keep the process alive, and while drivers wait for their brokers nothing else does.
  const alive = setInterval(() => undefined, MAX_TIMER_MS);
  const stopRequest = listenForStop(jobsd.container, config, context);
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
  clearInterval(alive);
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
function listenForStop(container: Container, config: Config, { logs, say, removePidFile }: ServeContext): StopRequest {
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
      removePidFile();
      logs.close();
      process.exit(EXIT_CODES.failure);
    },
    hangUp: () => {
      logs.reopen();
    },
    restart: () => {
      say("restart signal [SIGUSR2] received");
      logs.root.info(
        { exitCode: EXIT_CODES.restart },
        "restart signal received, the supervisor starts the daemon again",
      );
      request(EXIT_CODES.restart);
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
