import { DEFAULT_POLICY, RR_POLICY } from "../../domain/policy.ts";
import type {
  Config,
  JobsConfig,
  ListenAddress,
  LoggerConfig,
  LogMode,
  LogsConfig,
  PipelineConfig,
  RpcConfig,
} from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import { readPipelines, readPolicy } from "./pipelines.ts";
import type { ProblemList } from "./problems.ts";
import type { LoggerInput } from "./schema/logs-schema.ts";
import { OTHER_WORK, type ConfigInput } from "./schema/root-schema.ts";

const DEFAULT_PIPELINE_SIZE = 1_000_000;
const LOOPBACK_HOSTS: readonly string[] = ["localhost", "::1"];
const LOG_MODES: readonly string[] = ["production", "development", "raw", "off", "none"];

/** Facts about the machine that defaults depend on. */
export interface MachineFacts {
  readonly cpuCount: number;
  readonly memoryMaxBytes: number;
}

/** Everything that is checked across keys, and the plain data the daemon runs with. */
export class ConfigBuilder {
  readonly #input: ConfigInput;
  readonly #places: PlaceIndex;
  readonly #problems: ProblemList;
  readonly #facts: MachineFacts;

  constructor(input: ConfigInput, places: PlaceIndex, problems: ProblemList, facts: MachineFacts) {
    this.#input = input;
    this.#places = places;
    this.#problems = problems;
    this.#facts = facts;
  }

  build(): Config {
    const { server, endure, jobsd } = this.#input;
    this.#checkOtherWork();
    this.#checkRelay();
    const base = jobsd.compat === "rr" ? RR_POLICY : DEFAULT_POLICY;
    const policy = readPolicy(jobsd.policy, base, ["jobsd", "policy"], this.#places, this.#problems);
    const { path, max_jobs: maxJobs, max_bytes: maxBytes, max_age: maxAgeMs } = jobsd.failed_store;
    return {
      rpc: this.#rpc(),
      server: { command: server.command, env: upperCased(server.env) },
      jobs: this.#jobs(policy),
      logs: this.#logs(),
      graceMs: endure.grace_period,
      jobsd: {
        strict: jobsd.strict,
        compat: jobsd.compat,
        policy,
        scheduler: { order: jobsd.scheduler.order, maxWaitMs: jobsd.scheduler.max_wait },
        failedStore: { path, maxJobs, maxBytes, maxAgeMs },
        memory: { maxBytes: jobsd.memory.max_bytes === 0 ? this.#facts.memoryMaxBytes : jobsd.memory.max_bytes },
      },
    };
  }

  #rpc(): RpcConfig {
    const { rpc } = this.#input;
    const enabled = this.#places.has(["rpc"]);
    const place = this.#places.at(["rpc", "listen"]);
    const address = parseListen(rpc.listen);
    if (address === undefined) {
      this.#problems.error(place, "rpc.listen", "invalid socket DSN (tcp://:6001, unix://file.sock)");
    } else if (enabled && address.t === "tcp" && !isLoopback(address.host)) {
      const message = "RPC has no authentication and is reachable from other machines; tcp://127.0.0.1:6001 is not";
      this.#problems.warning(place, "rpc.listen", message);
    }
    return {
      enabled,
      listen: rpc.listen,
      address: address ?? { t: "tcp", host: "127.0.0.1", port: 6001 },
      maxFrameBytes: rpc.max_frame_size,
      headerTimeoutMs: rpc.header_timeout,
      bodyTimeoutMs: rpc.body_timeout,
      maxConnections: rpc.max_connections,
      maxInflight: rpc.max_inflight,
      redactConfig: rpc.redact_config,
      socketMode: rpc.socket_mode,
    };
  }

  #jobs(policy: Config["jobsd"]["policy"]): JobsConfig {
    const { jobs, server } = this.#input;
    const enabled = this.#places.has(["jobs"]);
    const command = jobs.pool.command.length > 0 ? jobs.pool.command : server.command;
    if (enabled && command.length === 0) {
      const place = this.#places.at(this.#places.has(["server"]) ? ["server", "command"] : ["jobs"]);
      this.#problems.error(place, "server.command", 'jobs needs server.command, e.g. command: "php worker.php"');
    }
    const poolNames = this.#poolNames();
    const source = { pipelines: jobs.pipelines, poolNames, defaults: policy };
    const pipelines = readPipelines(source, this.#places, this.#problems);
    return {
      enabled,
      timeoutMs: jobs.timeout,
      pipelineSize: jobs.pipeline_size === 0 ? DEFAULT_PIPELINE_SIZE : jobs.pipeline_size,
      parallelism: jobs.options.parallelism || (this.#places.has(["jobs", "options"]) ? 5 : 10),
      pool: {
        numWorkers: jobs.pool.num_workers || this.#facts.cpuCount,
        command,
        allocateTimeoutMs: jobs.pool.allocate_timeout,
        destroyTimeoutMs: jobs.pool.destroy_timeout,
        execTtlMs: jobs.pool.supervisor.exec_ttl,
      },
      pipelines,
      consume: this.#consume(pipelines),
    };
  }

  #poolNames(): ReadonlySet<string> | undefined {
    if (!this.#places.has(["jobs", "pools"])) return undefined;
    if (this.#places.has(["jobs", "pool"])) {
      const place = this.#places.at(["jobs", "pools"]);
      this.#problems.error(place, "jobs.pools", "both pool and pools options cannot be set at the same time");
    }
    return new Set(Object.keys(this.#input.jobs.pools).map((name) => name.toLowerCase()));
  }

  #consume(pipelines: readonly PipelineConfig[]): readonly string[] {
    const known = new Set(pipelines.map((pipeline) => pipeline.name));
    const names = this.#input.jobs.consume.map((name, index) => {
      if (known.has(name.toLowerCase())) return name.toLowerCase();
      const place = this.#places.at(["jobs", "consume", index.toString()]);
      const message = `there is no pipeline "${name}" in this file; it will start when it is declared`;
      this.#problems.warning(place, "jobs.consume", message);
      return name;
    });
    return [...new Set(names)];
  }

  #logs(): LogsConfig {
    const { logs } = this.#input;
    const standard: LoggerConfig = {
      mode: "development",
      level: "debug",
      encoding: "console",
      output: ["stderr"],
      lineEnding: "\n",
    };
    const root = this.#logger(logs, standard, "", ["logs"]);
    const channels = Object.entries(logs.channels).map(([name, input]) => [
      name,
      this.#logger(input, root, logs.encoding, ["logs", "channels", name]),
    ]);
    return { root, channels: Object.fromEntries(channels) as Readonly<Record<string, LoggerConfig>> };
  }

  #logger(
    input: LoggerInput,
    inherited: LoggerConfig,
    inheritedEncoding: LoggerInput["encoding"],
    path: readonly string[],
  ): LoggerConfig {
    const word = input.mode.toLowerCase();
    if (word !== "" && !LOG_MODES.includes(word)) {
      const message = `unknown mode "${input.mode}", records are laid out as for people; use production or development`;
      this.#problems.warning(this.#places.at([...path, "mode"]), [...path, "mode"].join("."), message);
    }
    const mode = word === "" ? inherited.mode : modeOf(word);
    const encoding = input.encoding === "" ? inheritedEncoding : input.encoding;
    return {
      mode,
      level: input.level === "" ? inherited.level : levelOf(input.level),
      encoding: encoding === "" ? (mode === "production" ? "json" : "console") : encoding,
      output: input.output.length === 0 ? inherited.output : input.output,
      lineEnding: input.line_ending === "" ? inherited.lineEnding : input.line_ending,
    };
  }

  #checkOtherWork(): void {
    if (this.#places.has(["jobs"])) return;
    const other = OTHER_WORK.find((section) => this.#places.has([section]));
    if (other === undefined) return;
    const message = `this daemon serves jobs and nothing else: there is no section jobs, and ${other} is not served`;
    this.#problems.error(this.#places.at([other]), other, message);
  }

  #checkRelay(): void {
    const { relay } = this.#input.server;
    const place = this.#places.at(["server", "relay"]);
    if (relay === "pipes" || relay === "") return;
    if (/^(?:tcp|unix):\/\/[^]+$/.test(relay)) {
      const message = "is accepted and has no effect yet: workers are connected by pipes and get RR_RELAY=pipes";
      this.#problems.warning(place, "server.relay", message);
    } else {
      this.#problems.error(place, "server.relay", "invalid DSN (tcp://:6001, unix://file.sock), or pipes");
    }
  }
}

/** `tcp://HOST:PORT` or `unix://PATH`; undefined if it is neither. */
function parseListen(listen: string): ListenAddress | undefined {
  const unix = /^unix:\/\/(.+)$/.exec(listen)?.[1];
  if (unix !== undefined) return unix.includes("://") ? undefined : { t: "unix", path: unix };
  const tcp = /^tcp:\/\/(?:\[([\da-fA-F:.]+)\]|([^:/[\]]*)):(\d{1,5})$/.exec(listen);
  const port = Number(tcp?.[3]);
  if (tcp === null || port > 65_535) return undefined;
  return { t: "tcp", host: tcp[1] ?? tcp[2] ?? "", port };
}

function isLoopback(host: string): boolean {
  return LOOPBACK_HOSTS.includes(host.toLowerCase()) || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function modeOf(word: string): LogMode {
  if (word === "production" || word === "development" || word === "raw" || word === "off") return word;
  return word === "none" ? "off" : "other";
}

function levelOf(level: Exclude<LoggerInput["level"], "">): LoggerConfig["level"] {
  return level === "dpanic" || level === "panic" || level === "fatal" ? "silent" : level;
}

function upperCased(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name.toUpperCase(), value]));
}
