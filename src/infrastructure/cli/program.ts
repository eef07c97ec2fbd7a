import { Command, CommanderError } from "commander";
import { JobsError, messageOf } from "../../domain/errors.ts";
import { RpcCallError } from "../../adapters/rpc/rpc-call-error.ts";
import { durationText, readDurationMs, Unreadable } from "../config/durations.ts";
import { EXIT_CODES } from "../lifecycle/exit-codes.ts";
import { versionLine } from "../version.ts";
import { completionScript, type Shell, SHELLS } from "./completion.ts";
import { CommandError } from "./command-error.ts";
import type { CommandBodies, GlobalOptions } from "./flags.ts";
import { addFailedCommand, addJobsCommand } from "./jobs-commands.ts";

/** How long `stop --wait` waits if it is told no time: longer than a usual grace period. */
const STOP_WAIT_MS = 60_000;

/** What the commands do, and where they write. */
export interface CliContext extends CommandBodies {
  /** Name the executable was started under: `jobsd`, or `rr` through a link. */
  readonly program: string;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
}

type Options = () => GlobalOptions;
type Finish = (code: number) => void;

interface JsonFlag {
  readonly json?: boolean;
}

interface ParsedFlags {
  readonly config: string;
  readonly workDir?: string;
  readonly WorkDir?: string;
  readonly override: readonly string[];
  readonly dotenv: string;
  readonly silent: boolean;
  readonly pid: boolean;
  readonly debug: boolean;
  readonly enableExperimental: boolean;
}

/**
 * Runs the command line.
 *
 * @param args without the runtime and the script
 * @returns the exit code; never rejects: what goes wrong is written as bare text
 */
export async function runCli(args: readonly string[], context: CliContext): Promise<number> {
  let exitCode: number = EXIT_CODES.ok;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args.length === 0 ? ["help"] : args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.failure;
    context.writeError(`${describe(error)}\n`);
    return EXIT_CODES.failure;
  }
}

/** Errors of ours are for the operator; anything else is a bug, for which the stack is wanted. */
function describe(error: unknown): string {
  const expected = error instanceof CommandError || error instanceof RpcCallError;
  if (JobsError.is(error) || expected || !(error instanceof Error)) return messageOf(error);
  return error.stack ?? error.message;
}

function createProgram(context: CliContext, finish: (code: number) => void): Command {
  const program = new Command(context.program)
    .description("Background jobs for PHP: stands in for RoadRunner's jobs plugin.")
    .usage("[flags] <command> [flags]")
    .option("-c, --config <file>", "configuration file", ".rr.yaml")
    .option("-w, --work-dir <directory>", "working directory (default: the directory of the configuration file)")
    .option("-o, --override <key=value>", "override a key of the configuration, may be repeated", collect, [])
    .option("--dotenv <file>", "file of variables, from the working directory", "")
    .option("-p, --pid", "serve: write the process id into .pid, or jobsd.pid_file", false)
    .option("-d, --debug", "RoadRunner's profiles: accepted, not served yet", false)
    .option("-e, --enable-experimental", "RoadRunner's experiments: accepted, no effect", false)
    .option("-s, --silent", "write no lines of the daemon itself to stdout; logs are not touched", false)
    .version(versionLine(context.program), "-v, --version", "show the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help")
    .addOption(new Command().createOption("--WorkDir <directory>", "RoadRunner's spelling").hideHelp())
    .showHelpAfterError(`(${context.program} --help shows all commands and flags)`)
    .exitOverride()
    .configureOutput({ writeOut: context.writeOut, writeErr: context.writeError });
  const options = (): GlobalOptions => globalOptions(program.opts<ParsedFlags>());
  program
    .command("serve")
    .description(
      "run the daemon until SIGINT, SIGTERM or SIGQUIT; a second one ends it at once; SIGUSR2 ends it with code 75",
    )
    .addHelpText("after", `\nExample:\n  ${context.program} serve -c .rr.yaml -o jobs.pool.num_workers=4\n`)
    .action(async () => {
      finish(await context.serve(options()));
    });
  addOwnCommands(program, context, options, finish);
  addDaemonCommands(program, context, options, finish);
  return program;
}

/** Commands that need no daemon. */
function addOwnCommands(program: Command, context: CliContext, options: Options, finish: Finish): void {
  program
    .command("check")
    .alias("validate")
    .description("read the configuration, tell everything that is wrong with it, and start nothing")
    .option("--json", "print JSON")
    .action(async ({ json = false }: JsonFlag) => {
      finish(await context.check(options(), json));
    });
  program
    .command("config")
    .description("print the configuration with includes, variables and overrides in it, secrets masked")
    .action(async () => {
      finish(await context.config(options()));
    });
  program
    .command("version")
    .description("show the version")
    .action(() => {
      context.writeOut(`${versionLine(context.program)}\n`);
    });
  program
    .command("completion")
    .description(`print a script that completes commands and flags: source <(${context.program} completion bash)`)
    .addArgument(program.createArgument("<shell>", "the shell").choices(SHELLS))
    .action((shell: Shell) => {
      context.writeOut(completionScript(program, shell));
    });
}

/** Commands for a daemon that runs. */
function addDaemonCommands(program: Command, context: CliContext, options: Options, finish: Finish): void {
  program
    .command("workers")
    .description("show workers and pipelines of the running daemon")
    .argument("[plugins...]", "only these; the one with workers is jobs")
    .option("-i, --interactive", "draw again every second, until Ctrl-C", false)
    .option("--json", "print JSON", false)
    .action(async (plugins: string[], { interactive, json }: { interactive: boolean; json: boolean }) => {
      finish(await context.workers(options(), { plugins, interactive, json }));
    });
  addJobsCommand(program, async (request) => {
    finish(await context.jobs(options(), request));
  });
  addFailedCommand(program, async (request) => {
    finish(await context.failed(options(), request));
  });
  program
    .command("reset")
    .description("replace the workers, e.g. after a deploy; running jobs end first")
    .argument("[plugins...]", "only these; the one with workers is jobs")
    .action(async (plugins: string[]) => {
      finish(await context.reset(options(), plugins));
    });
  program
    .command("stop")
    .description("stop the daemon that wrote the pid file (serve -p)")
    .option("-f, --force", "a second signal after a second: running jobs are given back", false)
    .option("--wait [duration]", `wait for its end, ${durationText(STOP_WAIT_MS)} if no time is given`, parseWait)
    .action(async ({ force, wait = 0 }: { force: boolean; wait?: number | true }) => {
      finish(await context.stop(options(), { force, waitMs: wait === true ? STOP_WAIT_MS : wait }));
    });
}

function parseWait(text: string): number {
  const ms = readDurationMs(text, "seconds");
  if (ms instanceof Unreadable) throw new CommandError(`--wait: ${ms.message}`);
  return ms;
}

/** Short flags take their value with `=` as well (`-o=k=v`), which the parser leaves at the front. */
function withoutEquals(value: string): string {
  return value.startsWith("=") ? value.slice(1) : value;
}

function collect(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, withoutEquals(value)];
}

function globalOptions(flags: ParsedFlags): GlobalOptions {
  return {
    config: withoutEquals(flags.config),
    workDir: withoutEquals(flags.workDir ?? flags.WorkDir ?? ""),
    overrides: flags.override,
    dotenv: withoutEquals(flags.dotenv),
    silent: flags.silent,
    pid: flags.pid,
    debug: flags.debug,
    experimental: flags.enableExperimental,
  };
}
