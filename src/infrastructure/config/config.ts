import type { Policy } from "../../domain/policy.ts";
import type { LogLevel } from "../../domain/ports/logger.ts";
import type { Place } from "./problems.ts";

/** What the daemon runs with: checked, with every default filled in. Durations are milliseconds, sizes bytes. */
export interface Config {
  readonly rpc: RpcConfig;
  readonly server: ServerConfig;
  readonly jobs: JobsConfig;
  readonly logs: LogsConfig;
  /** Time a stop may take (`endure.grace_period`). */
  readonly graceMs: number;
  readonly jobsd: JobsdConfig;
}

export type ListenAddress =
  | { readonly t: "tcp"; /** Empty = all interfaces. */ readonly host: string; readonly port: number }
  | { readonly t: "unix"; readonly path: string };

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
  /** Program and arguments; empty only if there is no section `jobs`. */
  readonly command: readonly string[];
  /** Names are upper case. */
  readonly env: Readonly<Record<string, string>>;
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
  readonly pool: PoolConfig;
  /** In the order of the file. */
  readonly pipelines: readonly PipelineConfig[];
  /** Pipelines that start with the daemon: canonical names of configured ones, others as they were written. */
  readonly consume: readonly string[];
}

export interface PoolConfig {
  readonly numWorkers: number;
  /** `jobs.pool.command`, else `server.command`. */
  readonly command: readonly string[];
  readonly allocateTimeoutMs: number;
  readonly destroyTimeoutMs: number;
  /** Longest run of a job; 0 = no limit. */
  readonly execTtlMs: number;
}

export interface PipelineConfig {
  /** Canonical: lower case, as RoadRunner names pipelines of the configuration. */
  readonly name: string;
  /** Kind of driver; whether there is one of that kind is for the driver catalog to say. */
  readonly driver: string;
  /** Worker pool; always empty (the default pool) in this release. */
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
  /** `stdout`, `stderr`, or paths of files. */
  readonly output: readonly string[];
  readonly lineEnding: string;
}

export interface LogsConfig {
  readonly root: LoggerConfig;
  /** By name of the channel, complete: what a channel does not set is the root's. */
  readonly channels: Readonly<Record<string, LoggerConfig>>;
}

export interface JobsdConfig {
  readonly strict: boolean;
  readonly compat: "none" | "rr";
  /** What pipelines have that say nothing else, declared ones included. */
  readonly policy: Policy;
  readonly scheduler: { readonly order: "fair" | "fifo"; /** 0 = strict priority. */ readonly maxWaitMs: number };
  readonly failedStore: FailedStoreConfig;
  readonly memory: { /** What the memory driver may hold. */ readonly maxBytes: number };
}

export interface FailedStoreConfig {
  /** Directory, relative to the working directory; empty = in memory. */
  readonly path: string;
  readonly maxJobs: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}
