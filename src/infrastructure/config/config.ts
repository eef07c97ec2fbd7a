import type { Policy } from "../../domain/policy.ts";
import type { LogLevel } from "../../domain/ports/logger.ts";
import type { Place } from "./problems.ts";
import type { AmqpInput } from "./schema/amqp-schema.ts";
import type { BeanstalkInput } from "./schema/beanstalk-schema.ts";
import type { KafkaInput } from "./schema/kafka-schema.ts";
import type { NatsInput } from "./schema/nats-schema.ts";
import type { SqsInput } from "./schema/sqs-schema.ts";

/** What the daemon runs with: checked, with every default filled in. Durations are milliseconds, sizes bytes. */
export interface Config {
  /** The files as they were read, with variables, included files and `-o`; keys in lower case. Secrets included. */
  readonly source: Readonly<Record<string, unknown>>;
  readonly rpc: RpcConfig;
  readonly server: ServerConfig;
  readonly jobs: JobsConfig;
  readonly logs: LogsConfig;
  /** Undefined without a section `status`. */
  readonly status: StatusConfig | undefined;
  /** Undefined without a section `metrics`. */
  readonly metrics: MetricsConfig | undefined;
  /** Undefined without a section `otel`: nothing is traced. */
  readonly otel: OtelConfig | undefined;
  /** Brokers of pipelines, each undefined if the file has no such section. */
  readonly amqp: AmqpInput | undefined;
  readonly kafka: KafkaInput | undefined;
  readonly sqs: SqsInput | undefined;
  readonly nats: NatsInput | undefined;
  readonly beanstalk: BeanstalkInput | undefined;
  /** Time a stop may take (`endure.grace_period`). */
  readonly graceMs: number;
  readonly jobsd: JobsdConfig;
}

export type ListenAddress =
  | { readonly t: "tcp"; /** Empty = all interfaces. */ readonly host: string; readonly port: number }
  | { readonly t: "unix"; readonly path: string };

/** Where an HTTP server listens. */
export interface HttpAddress {
  /** Empty = all interfaces. */
  readonly host: string;
  readonly port: number;
}

export interface StatusConfig extends HttpAddress {
  /** HTTP status of an answer that says no, 100…599. */
  readonly unavailableCode: number;
  /** Limit of one check. */
  readonly checkTimeoutMs: number;
}

export interface MetricsConfig extends HttpAddress {
  /** Metrics of the application that exist from the start, by name. */
  readonly collect: Readonly<Record<string, CollectorConfig>>;
  /** Job names that are counted apart: all, none, or these. */
  readonly jobLabel: boolean | readonly string[];
  /** Whether the series of Go that dashboards use are there. */
  readonly goCompat: boolean;
  /** How long the endpoint goes on after the jobs have ended, so that the last numbers are fetched. */
  readonly lingerMs: number;
}

export interface OtelConfig {
  readonly exporter: OtelExporterConfig;
  /** Attributes of the resource. */
  readonly resource: Readonly<Record<string, string>>;
  /** Workers get the context of the delivery, as in RoadRunner, instead of that of their execution. */
  readonly workersContinueDelivery: boolean;
  /** One of OpenTelemetry's names; empty = the environment's. */
  readonly sampler: string;
  /** Share of traces, 0 to 1. */
  readonly samplerRatio: number | undefined;
}

export type OtelExporterConfig =
  | { readonly t: "console"; readonly stream: "stdout" | "stderr" }
  | { readonly t: "zipkin"; readonly url: string }
  | {
      readonly t: "otlp";
      readonly client: "http" | "grpc";
      /** Undefined: the environment's, or OpenTelemetry's default. */
      readonly url: string | undefined;
      readonly compress: boolean;
      /** Names lower case. */
      readonly headers: Readonly<Record<string, string>>;
    };

export interface CollectorConfig {
  readonly type: string;
  readonly help: string;
  readonly namespace: string;
  readonly subsystem: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
  readonly objectives: Readonly<Record<string, number>>;
}

export interface RpcConfig {
  /** False if the file has no section `rpc`: then nothing listens. */
  readonly enabled: boolean;
  /** As it was written; workers get it as `RR_RPC`. */
  readonly listen: string;
  readonly address: ListenAddress;
  readonly maxFrameBytes: number;
  readonly headerTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly maxConnections: number;
  /** Running calls per connection. */
  readonly maxInflight: number;
  readonly redactConfig: boolean;
  /** Permission bits of a unix socket. */
  readonly socketMode: number;
}

export interface ServerConfig {
  /** Program and arguments; empty only if there is no section `jobs`, or all pools have their own. */
  readonly command: readonly string[];
  /** Names are upper case. */
  readonly env: Readonly<Record<string, string>>;
  /** How workers are connected. */
  readonly relay: { readonly t: "pipes" } | ListenAddress;
  /** The same as it was written (`pipes` if it was not); workers get it as `RR_RELAY`. */
  readonly relayDsn: string;
  /** User the workers run as, by name or id; empty = the one of the daemon. Whether there is one is checked at the start. */
  readonly user: string;
  /** Group the workers run as; empty = the primary group of `user`. */
  readonly group: string;
  /** A command that runs to its end before the first worker starts. */
  readonly onInit: OnInitConfig | undefined;
}

export interface OnInitConfig {
  /** Program and arguments, one or more. */
  readonly command: readonly string[];
  /** Names are upper case. */
  readonly env: Readonly<Record<string, string>>;
  /** Then it is killed. */
  readonly execTimeoutMs: number;
  /** A failure ends the start of the daemon. */
  readonly exitOnError: boolean;
  /** Empty = the user of the daemon. */
  readonly user: string;
}

export interface JobsConfig {
  /** False if the file has no section `jobs`. */
  readonly enabled: boolean;
  /** Limit of every single operation of a driver. */
  readonly timeoutMs: number;
  /** Jobs that may wait in the queues. */
  readonly pipelineSize: number;
  /** Pipelines that are started or stopped at once. */
  readonly parallelism: number;
  /** One or more: those of `jobs.pools`, else one named `default`, from `jobs.pool` or with all defaults. */
  readonly pools: readonly PoolConfig[];
  /** In the order of the file. */
  readonly pipelines: readonly PipelineConfig[];
  /** Pipelines that start with the daemon: canonical names of configured ones, others as they were written. */
  readonly consume: readonly string[];
}

/** A set of worker processes. Where 0 is no limit it says so; all other zeros of the file have become the default. */
export interface PoolConfig {
  /** Lower case; unique. */
  readonly name: string;
  /** `command` of the pool, else `server.command`. */
  readonly command: readonly string[];
  /** A new process for each job. */
  readonly debug: boolean;
  /** 1…500. */
  readonly numWorkers: number;
  /** Executions after which a worker is replaced, before jitter; 0 = no limit. */
  readonly maxJobs: number;
  /** 0 = no limit. */
  readonly maxQueueSize: number;
  readonly allocateTimeoutMs: number;
  readonly resetTimeoutMs: number;
  readonly streamTimeoutMs: number;
  readonly destroyTimeoutMs: number;
  readonly supervisor: SupervisorConfig;
  /** Undefined = the number of workers does not change by itself. */
  readonly dynamicAllocator: DynamicAllocatorConfig | undefined;
}

/** Limits of workers; 0 = no limit. */
export interface SupervisorConfig {
  /** Period of the checks. */
  readonly watchTickMs: number;
  readonly ttlMs: number;
  /** Of workers that were used at least once. */
  readonly idleTtlMs: number;
  /** Longest run of a job. */
  readonly execTtlMs: number;
  readonly maxWorkerMemoryBytes: number;
}

export interface DynamicAllocatorConfig {
  /** Workers beyond `numWorkers`; both together are 2048 at most. */
  readonly maxWorkers: number;
  /** Workers that come or go at a time, 1…100. */
  readonly spawnRate: number;
  /** One second or more. */
  readonly idleTimeoutMs: number;
}

export interface PipelineConfig {
  /** Canonical: lower case, as RoadRunner names pipelines of the configuration. */
  readonly name: string;
  /** Kind of driver; whether there is one of that kind is for the driver catalog to say. */
  readonly driver: string;
  /** Name of one of `jobs.pools`; empty = left to the job's header, else the default pool. */
  readonly pool: string;
  readonly priority: number;
  /** Options of the driver, from `config` and from beside `driver`; names lower case, the rest as written. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly policy: Policy;
  readonly place: Place;
  /** Where `driver` and the options stand, by lower-cased name. */
  readonly places: ReadonlyMap<string, Place>;
}

/** `other` is any word RoadRunner does not know: its fourth, console-like layout. */
export type LogMode = "production" | "development" | "raw" | "off" | "other";

export interface LoggerConfig {
  readonly mode: LogMode;
  /** `silent` where only levels are written that this daemon never uses (`panic`, `fatal`). */
  readonly level: LogLevel | "silent";
  readonly encoding: "console" | "json";
  /** `stdout`, `stderr`, or paths of files. Not used where there is a `file`. */
  readonly output: readonly string[];
  /** Further outputs of records of level error; empty unless `jobsd.logs.split_errors`. */
  readonly errorOutput: readonly string[];
  /** What a record ends with; may be empty. */
  readonly lineEnding: string;
  /** Layout with placeholders such as `%message%`, in place of the one of `mode`; empty = none. */
  readonly format: string;
  /** Layout of the time in Go's notation; empty = the one of `mode`, RFC 3339 in `format`. */
  readonly timeFormat: string;
  /** A file with rotation, in place of `output`. */
  readonly file: LogFileConfig | undefined;
}

export interface LogFileConfig {
  readonly path: string;
  readonly maxSizeBytes: number;
  readonly maxAgeMs: number;
  /** Rotated files that are kept. */
  readonly maxBackups: number;
  /** Whether rotated files are compressed. */
  readonly compress: boolean;
}

export interface LogsConfig {
  readonly root: LoggerConfig;
  /** By name of the channel, complete: what a channel does not set is the root's. */
  readonly channels: Readonly<Record<string, LoggerConfig>>;
}

export interface JobsdConfig {
  readonly strict: boolean;
  /** Whether the daemon starts while a broker is not reachable. */
  readonly start: "lazy" | "strict";
  readonly compat: "none" | "rr";
  /** What pipelines have that say nothing else, declared ones included. */
  readonly policy: Policy;
  readonly scheduler: { readonly order: "fair" | "fifo"; /** 0 = strict priority. */ readonly maxWaitMs: number };
  readonly pipelining: PipeliningConfig;
  readonly failedStore: FailedStoreConfig;
  readonly memory: { /** What the memory driver may hold. */ readonly maxBytes: number };
  /** When the daemon is ready: while the pools have workers, or only while one is idle (RoadRunner). */
  readonly status: { readonly ready: "serving" | "workers" };
  /** Whether finished jobs are logged at level info. */
  readonly jobSummary: boolean;
  /** Drivers that are not ours: kind, and the package it is in. */
  readonly drivers: Readonly<Record<string, string>>;
  /** Path of the pid file; empty = none, or `.pid` if the command line asks for one. */
  readonly pidFile: string;
}

export interface PipeliningConfig {
  /** Frames in one worker; 1 = one job at a time. */
  readonly maxDepth: number;
  /** Predicted work that may wait behind a running job. */
  readonly windowMs: number;
  /** Whether a pid request stands between frames. */
  readonly fence: boolean;
}

export interface FailedStoreConfig {
  /** Directory; empty = dead letters are kept in memory. */
  readonly path: string;
  readonly maxJobs: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}
