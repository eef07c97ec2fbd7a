import type { LogFileConfig, LoggerConfig, LogMode, LogsConfig } from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import type { ProblemList } from "./problems.ts";
import type { LoggerInput } from "./schema/logs-schema.ts";
import type { ConfigInput } from "./schema/root-schema.ts";

const LOG_MODES: readonly string[] = ["production", "development", "raw", "off", "none"];
const DAY_MS = 86_400_000;
const MEGABYTE = 2 ** 20;

const STANDARD: LoggerConfig = {
  mode: "development",
  level: "debug",
  encoding: "console",
  output: ["stderr"],
  errorOutput: [],
  lineEnding: "\n",
  format: "",
  timeFormat: "",
  file: undefined,
};

/** What a logger is built upon: its parent, and the encoding that was set there (a mode has its own). */
interface Inherited {
  readonly logger: LoggerConfig;
  readonly encoding: LoggerInput["encoding"];
}

/** Reads the section `logs`. A channel takes from the root what it does not set, unless it is not to inherit. */
export class LogsBuilder {
  readonly #input: ConfigInput;
  readonly #places: PlaceIndex;
  readonly #problems: ProblemList;

  constructor(input: ConfigInput, places: PlaceIndex, problems: ProblemList) {
    this.#input = input;
    this.#places = places;
    this.#problems = problems;
  }

  build(): LogsConfig {
    const { logs, jobsd } = this.#input;
    const split = jobsd.logs.split_errors;
    const standard: LoggerConfig = { ...STANDARD, errorOutput: split ? ["stderr"] : [] };
    const root = this.#logger(logs, { logger: standard, encoding: "" }, ["logs"]);
    const parent: Inherited = jobsd.logs.channel_inherit
      ? { logger: root, encoding: logs.encoding }
      : { logger: { ...standard, mode: "other" }, encoding: "" };
    const channels = Object.entries(logs.channels).map(([name, input]): readonly [string, LoggerConfig] => [
      name,
      this.#logger(input, parent, ["logs", "channels", name]),
    ]);
    return { root, channels: Object.fromEntries(channels) };
  }

  #logger(
    input: LoggerInput,
    { logger: parent, encoding: inherited }: Inherited,
    path: readonly string[],
  ): LoggerConfig {
    const mode = this.#mode(input.mode, parent.mode, path);
    const written = input.encoding === "" ? inherited : input.encoding;
    const file = this.#file(input, parent, path);
    const byMode = mode === "production" ? "json" : "console";
    return {
      mode,
      level: input.level === "" ? parent.level : levelOf(input.level),
      // A file is for machines, unless the file says something else.
      encoding: written !== "" ? written : file === undefined ? byMode : "json",
      output: input.output.length === 0 ? parent.output : input.output,
      errorOutput: this.#errorOutput(input, parent),
      lineEnding: this.#lineEnding(input, parent, path),
      format: input.format === "" ? parent.format : input.format,
      timeFormat: input.time_format === "" ? parent.timeFormat : input.time_format,
      file,
    };
  }

  #mode(written: string, inherited: LogMode, path: readonly string[]): LogMode {
    const word = written.toLowerCase();
    if (word !== "" && !LOG_MODES.includes(word)) {
      const message = `unknown mode "${written}", records are laid out as for people; use production or development`;
      this.#problems.warning(this.#places.at([...path, "mode"]), [...path, "mode"].join("."), message);
    }
    return word === "" ? inherited : modeOf(word);
  }

  #errorOutput(input: LoggerInput, parent: LoggerConfig): readonly string[] {
    if (!this.#input.jobsd.logs.split_errors) return [];
    if (input.err_output.length > 0) return input.err_output;
    return input.error_output.length > 0 ? input.error_output : parent.errorOutput;
  }

  #lineEnding(input: LoggerInput, parent: LoggerConfig, path: readonly string[]): string {
    if (input.skip_line_ending) return "";
    if (input.line_ending !== "") return input.line_ending;
    const unset = !this.#places.has([...path, "skip_line_ending"]);
    return unset || parent.lineEnding !== "" ? parent.lineEnding : "\n";
  }

  /** As in RoadRunner it goes before `output`; a channel that has its own output does not write to the root's file. */
  #file(input: LoggerInput, parent: LoggerConfig, path: readonly string[]): LogFileConfig | undefined {
    const full = [...path, "file_logger_options"];
    if (!this.#places.has(full)) return input.output.length === 0 ? parent.file : undefined;
    const options = input.file_logger_options;
    if (options.log_output === "") {
      const message = "is missing, e.g. log_output: /var/log/jobsd.log";
      this.#problems.error(this.#places.at(full), [...full, "log_output"].join("."), message);
    }
    return {
      path: options.log_output,
      maxSizeBytes: (options.max_size || 100) * MEGABYTE,
      maxAgeMs: (options.max_age || 24) * DAY_MS,
      maxBackups: options.max_backups || 10,
      compress: options.compress,
    };
  }
}

function modeOf(word: string): LogMode {
  if (word === "production" || word === "development" || word === "raw" || word === "off") return word;
  return word === "none" ? "off" : "other";
}

function levelOf(level: Exclude<LoggerInput["level"], "">): LoggerConfig["level"] {
  return level === "dpanic" || level === "panic" || level === "fatal" ? "silent" : level;
}
