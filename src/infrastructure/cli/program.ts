import { Command, CommanderError } from "commander";
import { JobsError, messageOf } from "../../domain/errors.ts";
import { EXIT_CODES } from "../lifecycle/exit-codes.ts";
import { versionLine } from "../version.ts";

/** Flags every command has; they may stand before or after it. */
export interface GlobalOptions {
  /** Path of the configuration file, as it was given. */
  readonly config: string;
  /** Working directory; empty if not given. */
  readonly workDir: string;
  /** `key=value` each, in order. */
  readonly overrides: readonly string[];
  /** File of variables, relative to the working directory; empty if not given. */
  readonly dotenv: string;
  /** Write none of the daemon's own lines to stdout; logs are not touched. */
  readonly silent: boolean;
  /** Write a pid file while the daemon runs. */
  readonly pid: boolean;
  /** RoadRunner's `-d`. */
  readonly debug: boolean;
  /** RoadRunner's `-e`. */
  readonly experimental: boolean;
}

/** What the commands do, and where they write. */
export interface CliContext {
  /** Name the executable was started under: `jobsd`, or `rr` through a link. */
  readonly program: string;
  /** Runs the daemon. Resolves with its exit code once it stopped. */
  readonly serve: (options: GlobalOptions) => Promise<number>;
  /** Checks a configuration. Resolves with the exit code. */
  readonly check: (options: GlobalOptions) => number | Promise<number>;
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
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
  if (JobsError.is(error) || !(error instanceof Error)) return messageOf(error);
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
  program
    .command("check")
    .description("read the configuration, tell everything that is wrong with it, and start nothing")
    .action(async () => {
      finish(await context.check(options()));
    });
  program
    .command("version")
    .description("show the version")
    .action(() => {
      context.writeOut(`${versionLine(context.program)}\n`);
    });
  return program;
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
