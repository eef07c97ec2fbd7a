import { DEFAULT_POLICY, type Policy, RR_POLICY } from "../../domain/policy.ts";
import { HttpBuilder } from "./build-http.ts";
import { LogsBuilder } from "./build-logs.ts";
import { OtelBuilder } from "./build-otel.ts";
import { PoolsBuilder } from "./build-pools.ts";
import type {
  Config,
  JobsConfig,
  JobsdConfig,
  ListenAddress,
  OnInitConfig,
  PipelineConfig,
  RpcConfig,
  ServerConfig,
} from "./config.ts";
import type { PlaceIndex } from "./normalize.ts";
import { readPipelines, readPolicy } from "./pipelines.ts";
import type { ProblemList } from "./problems.ts";
import { type ConfigInput, OTHER_WORK, OWN_SECTIONS } from "./schema/root-schema.ts";

const DEFAULT_PIPELINE_SIZE = 1_000_000;
const MINUTE_MS = 60_000;
const LOOPBACK_HOSTS: readonly string[] = ["localhost", "::1"];

/** Facts about the machine that defaults depend on. */
export interface MachineFacts {
  readonly env: Readonly<Record<string, string | undefined>>;
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

  build(): Omit<Config, "source"> {
    const { endure, jobsd } = this.#input;
    this.#checkOtherWork();
    const base = jobsd.compat === "rr" ? RR_POLICY : DEFAULT_POLICY;
    const policy = readPolicy(jobsd.policy, base, ["jobsd", "policy"], this.#places, this.#problems);
    const http = new HttpBuilder(this.#input, this.#places, this.#problems);
    return {
      rpc: this.#rpc(),
      server: this.#server(),
      jobs: this.#jobs(policy),
      logs: new LogsBuilder(this.#input, this.#places, this.#problems).build(),
      status: http.status(),
      metrics: http.metrics(),
      otel: new OtelBuilder(this.#input, this.#places, this.#problems, this.#facts.env).build(),
      amqp: this.#broker("amqp"),
      kafka: this.#broker("kafka"),
      sqs: this.#broker("sqs"),
      nats: this.#broker("nats"),
      beanstalk: this.#broker("beanstalk"),
      graceMs: endure.grace_period,
      jobsd: this.#jobsd(policy),
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

  #jobs(policy: Policy): JobsConfig {
    const { jobs } = this.#input;
    const pools = new PoolsBuilder(this.#input, this.#places, this.#problems, this.#facts.cpuCount).build();
    const source = { pipelines: jobs.pipelines, pools, defaults: policy };
    const pipelines = readPipelines(source, this.#places, this.#problems);
    return {
      enabled: this.#places.has(["jobs"]),
      timeoutMs: jobs.timeout,
      pipelineSize: jobs.pipeline_size === 0 ? DEFAULT_PIPELINE_SIZE : jobs.pipeline_size,
      parallelism: this.#parallelism(),
      pools,
      pipelines,
      consume: this.#consume(pipelines),
    };
  }

  /** RoadRunner's default is another one where `options` is there without it. */
  #parallelism(): number {
    const { parallelism } = this.#input.jobs.options;
    if (!this.#places.has(["jobs", "options"])) return parallelism;
    return this.#places.has(["jobs", "options", "parallelism"]) && parallelism > 0 ? parallelism : 5;
  }

  #server(): ServerConfig {
    const { command, env, relay, user, group } = this.#input.server;
    const dsn = relay === "" ? "pipes" : relay;
    const address = dsn === "pipes" ? ({ t: "pipes" } as const) : parseListen(dsn);
    if (address === undefined) {
      const message = "invalid DSN (tcp://:6001, unix://file.sock), or pipes";
      this.#problems.error(this.#places.at(["server", "relay"]), "server.relay", message);
    }
    return {
      command,
      env: upperCased(env),
      relay: address ?? { t: "pipes" },
      relayDsn: dsn,
      user,
      group,
      onInit: this.#onInit(),
    };
  }

  #onInit(): OnInitConfig | undefined {
    const path = ["server", "on_init"];
    if (!this.#places.has(path)) return undefined;
    const { command, env, exec_timeout: execTimeoutMs, exit_on_error: exitOnError, user } = this.#input.server.on_init;
    if (command.length === 0) {
      this.#problems.error(this.#places.at(path), "server.on_init.command", "on_init command should not be empty");
    }
    return { command, env: upperCased(env), execTimeoutMs: execTimeoutMs || MINUTE_MS, exitOnError, user };
  }

  #jobsd(policy: Policy): JobsdConfig {
    const { jobsd } = this.#input;
    const { path, max_jobs: maxJobs, max_bytes: maxBytes, max_age: maxAgeMs } = jobsd.failed_store;
    const { max_depth: maxDepth, window: windowMs, fence } = jobsd.pipelining;
    const asRoadRunner = jobsd.compat === "rr" && !this.#places.has(["jobsd", "status", "ready"]);
    return {
      strict: jobsd.strict,
      start: jobsd.start,
      compat: jobsd.compat,
      policy,
      scheduler: { order: jobsd.scheduler.order, maxWaitMs: jobsd.scheduler.max_wait },
      pipelining: { maxDepth, windowMs, fence },
      failedStore: { path, maxJobs, maxBytes, maxAgeMs },
      memory: { maxBytes: jobsd.memory.max_bytes === 0 ? this.#facts.memoryMaxBytes : jobsd.memory.max_bytes },
      status: { ready: asRoadRunner ? "workers" : jobsd.status.ready },
      jobSummary: jobsd.logs.job_summary,
      drivers: this.#drivers(),
      pidFile: jobsd.pid_file,
    };
  }

  #drivers(): Readonly<Record<string, string>> {
    const { drivers } = this.#input.jobsd;
    const report = (kind: string, message: string): void => {
      this.#problems.error(this.#places.at(["jobsd", "drivers", kind]), `jobsd.drivers.${kind}`, message);
    };
    for (const [kind, name] of Object.entries(drivers)) {
      if (name === "") report(kind, "expected the name of an npm package");
      if (OWN_SECTIONS.includes(kind)) report(kind, `${kind} is a section of the daemon and can be no kind of driver`);
    }
    return drivers;
  }

  #broker<const K extends "amqp" | "kafka" | "sqs" | "nats" | "beanstalk">(kind: K): ConfigInput[K] | undefined {
    return this.#places.has([kind]) ? this.#input[kind] : undefined;
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

  #checkOtherWork(): void {
    if (this.#places.has(["jobs"])) return;
    const other = OTHER_WORK.find((section) => this.#places.has([section]));
    if (other === undefined) return;
    const message = `this daemon serves jobs and nothing else: there is no section jobs, and ${other} is not served`;
    this.#problems.error(this.#places.at([other]), other, message);
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

function upperCased(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name.toUpperCase(), value]));
}
