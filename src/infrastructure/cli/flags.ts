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

/** Where a command writes. */
export interface Output {
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Width of the terminal in columns; undefined if stdout is none. */
  readonly columns: number | undefined;
}

/** What is asked of `workers`. */
export interface WorkersRequest {
  /** Plugins to show; empty for all. There is one with workers: `jobs`. */
  readonly plugins: readonly string[];
  readonly interactive: boolean;
  readonly json: boolean;
}

/** What is asked of `jobs`, in RoadRunner's form (`jobs --pause a,b`) or ours (`jobs pause a b`). */
export type JobsRequest = { readonly json: boolean } & (
  | { readonly t: "list" | "stat" }
  | { readonly t: "pause" | "resume" | "destroy"; readonly pipelines: readonly string[] }
  | { readonly t: "declare"; readonly options: Readonly<Record<string, string>> }
  | { readonly t: "push"; readonly job: JobRequest }
);

export interface JobRequest {
  readonly pipeline: string;
  readonly name: string;
  readonly payload: string;
  /** Empty: one is made. */
  readonly id: string;
  readonly delaySec: number;
  readonly priority: number;
  readonly headers: Readonly<Record<string, readonly string[]>>;
}

/** What is asked of `failed`: jobs that were given up. */
export type FailedRequest = { readonly json: boolean } & (
  | { readonly t: "list"; readonly pipeline: string; readonly reason: string; readonly limit: number }
  | { readonly t: "show"; readonly id: string }
  | {
      readonly t: "retry";
      readonly ids: readonly string[];
      readonly pipeline: string;
      readonly to: string;
      readonly limit: number;
    }
  | { readonly t: "delete"; readonly ids: readonly string[]; readonly pipeline: string }
);

export interface StopRequest {
  /** A second signal after a second: the daemon ends at once. */
  readonly force: boolean;
  /** How long to wait for its end; 0 = not at all. */
  readonly waitMs: number;
}

/** What the commands do. Each resolves with the exit code; what it throws is written as bare text. */
export interface CommandBodies {
  /** Runs the daemon until it stopped. */
  serve(options: GlobalOptions): Promise<number>;
  check(options: GlobalOptions, json: boolean): number | Promise<number>;
  /** Prints the effective configuration, secrets masked. */
  config(options: GlobalOptions): number | Promise<number>;
  workers(options: GlobalOptions, request: WorkersRequest): Promise<number>;
  jobs(options: GlobalOptions, request: JobsRequest): Promise<number>;
  failed(options: GlobalOptions, request: FailedRequest): Promise<number>;
  reset(options: GlobalOptions, plugins: readonly string[]): Promise<number>;
  stop(options: GlobalOptions, request: StopRequest): Promise<number>;
}
