import { type Command, InvalidArgumentError } from "commander";
import { CommandError } from "./command-error.ts";
import type { FailedRequest, JobsRequest } from "./flags.ts";

/** Carries a request out. */
type Run<T> = (request: T) => Promise<void>;

interface JobsFlags {
  readonly list?: boolean;
  readonly pause?: boolean;
  readonly resume?: boolean;
  readonly destroy?: boolean;
  readonly json?: boolean;
}

interface PushFlags {
  readonly name: string;
  readonly payload: string;
  readonly id: string;
  readonly delay: number;
  readonly priority: number;
  readonly header: Readonly<Record<string, readonly string[]>>;
  readonly json?: boolean;
}

interface FailedFlags {
  readonly pipeline: string;
  readonly reason: string;
  readonly to: string;
  readonly limit: number;
  readonly json?: boolean;
}

const NONE: Readonly<Record<string, readonly string[]>> = {};

/** `jobs` in RoadRunner's form (`jobs --pause a,b`) and in ours (`jobs pause a b`). */
export function addJobsCommand(program: Command, run: Run<JobsRequest>): void {
  const jobs = program
    .command("jobs")
    .description("pipelines and jobs of the running daemon")
    .argument("[pipelines...]", "names, also joined by commas")
    .option("--list", "list all pipelines")
    .option("--pause", "stop consuming")
    .option("--resume", "begin to consume")
    .option("--destroy", "end pipelines")
    .option("--json", "print JSON")
    .action((names: string[], flags: JobsFlags) => run(legacyRequest(program.name(), names, flags)));
  for (const t of ["list", "stat"] as const) {
    jobs
      .command(t)
      .description(t === "list" ? "names, drivers and whether they consume" : "numbers of waiting and running jobs")
      .option("--json", "print JSON")
      .action((_flags: JobsFlags, command: Command) => run({ t, json: isJson(command) }));
  }
  for (const t of ["pause", "resume", "destroy"] as const) {
    jobs
      .command(t)
      .description(t === "pause" ? "stop consuming" : t === "resume" ? "begin to consume" : "end pipelines")
      .argument("<pipelines...>", "names, also joined by commas")
      .option("--json", "print JSON")
      .action((names: string[], _flags: JobsFlags, command: Command) =>
        run({ t, pipelines: splitNames(names), json: isJson(command) }),
      );
  }
  addDeclare(jobs, run);
  addPush(jobs, run);
}

function addDeclare(jobs: Command, run: Run<JobsRequest>): void {
  jobs
    .command("declare")
    .description("define a pipeline until the daemon stops, e.g. declare name=mails driver=memory priority=5")
    .argument("<options...>", "key=value each; name and driver are needed")
    .option("--json", "print JSON")
    .action((pairs: string[], _flags: JobsFlags, command: Command) =>
      run({ t: "declare", options: Object.fromEntries(pairs.map(pairOf)), json: isJson(command) }),
    );
}

function addPush(jobs: Command, run: Run<JobsRequest>): void {
  jobs
    .command("push")
    .description("push one job")
    .argument("<pipeline>")
    .requiredOption("-n, --name <name>", "name of the task or PHP class")
    .option("--payload <text>", "the payload", "")
    .option("--id <id>", "its id (default: a new UUID)", "")
    .option("--delay <seconds>", "run it so much later", wholeNumber, 0)
    .option("--priority <number>", "smaller is served first; 0 is the pipeline's", wholeNumber, 0)
    .option("--header <name=value>", "may be repeated", collectHeader, NONE)
    .option("--json", "print JSON")
    .action((pipeline: string, flags: PushFlags, command: Command) => {
      const { name, payload, id, delay: delaySec, priority, header: headers } = flags;
      return run({
        t: "push",
        job: { pipeline, name, payload, id, delaySec, priority, headers },
        json: isJson(command),
      });
    });
}

/** Jobs that were given up. */
export function addFailedCommand(program: Command, run: Run<FailedRequest>): void {
  const failed = program.command("failed").description("jobs that were given up: look at them, run them again, delete");
  failed
    .command("list", { isDefault: true })
    .description("oldest first")
    .option("--pipeline <name>", "of this pipeline only", "")
    .option("--reason <reason>", "nack, error, malformed, attempts, requeues, deliveries, context or auto_ack", "")
    .option("--limit <number>", "at most so many", wholeNumber, 100)
    .option("--json", "print JSON")
    .action(({ pipeline, reason, limit, json = false }: FailedFlags) =>
      run({ t: "list", pipeline, reason, limit, json }),
    );
  failed
    .command("show")
    .description("one job with payload and headers, as JSON")
    .argument("<id>", "as list shows it")
    .action((id: string) => run({ t: "show", id, json: true }));
  failed
    .command("retry")
    .description("push jobs again, by id or all of a pipeline")
    .argument("[ids...]", "as list shows them")
    .option("--pipeline <name>", "those of this pipeline", "")
    .option("--to <name>", "push them to another pipeline", "")
    .option("--limit <number>", "of a pipeline, at most so many", wholeNumber, 100)
    .option("--json", "print JSON")
    .action((ids: string[], { pipeline, to, limit, json = false }: FailedFlags) => {
      needSelection("retry", ids, pipeline);
      return run({ t: "retry", ids, pipeline, to, limit, json });
    });
  failed
    .command("delete")
    .description("delete jobs for good, by id or all of a pipeline")
    .argument("[ids...]", "as list shows them")
    .option("--pipeline <name>", "those of this pipeline", "")
    .option("--json", "print JSON")
    .action((ids: string[], { pipeline, json = false }: FailedFlags) => {
      needSelection("delete", ids, pipeline);
      return run({ t: "delete", ids, pipeline, json });
    });
}

/** RoadRunner's precedence where several are given: pause, destroy, resume, list. */
function legacyRequest(program: string, names: readonly string[], flags: JobsFlags): JobsRequest {
  const json = flags.json === true;
  const found = (["pause", "destroy", "resume"] as const).find((candidate) => flags[candidate] === true);
  if (found !== undefined) {
    if (names.length > 0) return { t: found, pipelines: splitNames(names), json };
    throw new CommandError(`incorrect command usage, should be: ${program} jobs --${found} pipe1,pipe2`);
  }
  if (flags.list === true) return { t: "list", json };
  throw new CommandError(
    `command should be in form of: \`${program} jobs --<destroy/resume/pause> pipe1,pipe2\`; see ${program} jobs --help`,
  );
}

function needSelection(verb: string, ids: readonly string[], pipeline: string): void {
  if (ids.length > 0 === (pipeline !== "")) throw new CommandError(`failed ${verb}: give either ids or --pipeline`);
}

/** The flag may have been taken by the command above, which has it too. */
function isJson(command: Command): boolean {
  return command.optsWithGlobals<JobsFlags>().json === true;
}

function splitNames(names: readonly string[]): readonly string[] {
  return names
    .flatMap((name) => name.split(","))
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at <= 0) throw new CommandError(`expected key=value, got ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

function collectHeader(
  text: string,
  earlier: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, readonly string[]>> {
  const [name, value] = pairOf(text);
  return { ...earlier, [name]: [...(earlier[name] ?? []), value] };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value)) throw new InvalidArgumentError("expected a whole number.");
  return value;
}
