import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { RpcClient, type RpcTarget } from "./rpc-client.ts";

/** How long anything that is waited for may take. */
const PATIENCE_MS = 30_000;

/** Lines of the log that are kept; older ones are forgotten. */
const MAX_LINES = 200_000;

/** One record of the daemon's log, as `logs.mode: production` writes it. */
export interface DaemonLogLine {
  readonly level: string;
  readonly logger: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface DaemonOptions {
  /**
   * The file the daemon is started with, but for the sections `version`, `rpc` and `logs` (production), which are
   * written in front of it. YAML.
   */
  readonly config: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where its RPC listens: a unix socket in its folder (default), or a free port on the loopback interface. */
  readonly transport?: "unix" | "tcp";
  /** Address of its RPC, instead of one of `transport`. */
  readonly listen?: string;
  /** File it is started with, relative to its folder, instead of the one with `config`. */
  readonly configPath?: string;
  /** Level of the log, default `debug`. */
  readonly logLevel?: "debug" | "info";
  /** Further keys of section `logs`, YAML flow style. */
  readonly logs?: string;
  /** Further files of its folder: text by name. */
  readonly files?: Readonly<Record<string, string>>;
  /** Further flags of `serve`. */
  readonly args?: readonly string[];
  /** Flags of Node, e.g. for a profile. */
  readonly nodeFlags?: readonly string[];
}

/** How the daemon ended. */
export interface DaemonExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The real daemon as a process of its own, for end-to-end tests and tools. Its temporary folder goes with it. */
export class DaemonProcess {
  readonly child: ChildProcess;
  /** Temporary folder of this daemon, its working directory. */
  readonly directory: string;
  /** Records of its log so far. */
  readonly log: DaemonLogLine[] = [];
  /** What it wrote that is no record of the log. */
  readonly output: string[] = [];
  readonly exited: Promise<DaemonExit>;
  readonly #listeners = new Set<() => void>();
  #exit: DaemonExit | undefined;

  private constructor(directory: string, options: DaemonOptions) {
    this.directory = directory;
    const ownAddress = options.transport === "tcp" ? "tcp://127.0.0.1:0" : `unix://${join(directory, "rpc.sock")}`;
    const listen = options.listen ?? ownAddress;
    const configPath = join(directory, ".rr.yaml");
    const head = [
      'version: "3"',
      `rpc: { listen: ${JSON.stringify(listen)} }`,
      `logs: { mode: production, level: ${options.logLevel ?? "debug"}, output: [stdout], ${options.logs ?? ""} }`,
    ];
    writeFileSync(configPath, `${head.join("\n")}\n${options.config}\n`);
    for (const [name, text] of Object.entries(options.files ?? {})) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    const args = [
      ...(options.nodeFlags ?? []),
      join(packageRoot(), "bin/jobsd.js"),
      "serve",
      "-c",
      options.configPath ?? configPath,
      ...(options.args ?? []),
    ];
    this.child = spawn(process.execPath, args, {
      cwd: directory,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.exited = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        this.#exit = { code, signal };
        this.#changed();
        resolve(this.#exit);
      });
    });
    for (const stream of [this.child.stdout, this.child.stderr]) this.#readLines(stream);
  }

  /** Starts a daemon and resolves when it is ready. Rejects with what it wrote if it ends before. */
  static async start(options: DaemonOptions): Promise<DaemonProcess> {
    const daemon = DaemonProcess.launch(options);
    try {
      await daemon.waitFor("readiness", () => daemon.logged("the daemon is ready").length > 0);
      return daemon;
    } catch (error) {
      await daemon.kill();
      throw error;
    }
  }

  /** Starts a daemon without waiting, e.g. one that is to fail. End it with `stop` or `kill`. */
  static launch(options: DaemonOptions): DaemonProcess {
    return new DaemonProcess(mkdtempSync(join(tmpdir(), "jobsd-")), options);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Where its RPC listens, once it does. */
  get rpcTarget(): RpcTarget {
    const dsn = String(this.logged("the RPC server is listening")[0]?.["phpDsn"]);
    const tcp = /^tcp:\/\/(.+):(\d+)$/.exec(dsn);
    return tcp === null ? { path: dsn.replace("unix://", "") } : { host: tcp[1] ?? "", port: Number(tcp[2]) };
  }

  connect(timeoutMs?: number): Promise<RpcClient> {
    return RpcClient.connect(this.rpcTarget, timeoutMs);
  }

  /** Records with this message. */
  logged(message: string): readonly DaemonLogLine[] {
    return this.log.filter((line) => line.msg === message);
  }

  /**
   * Resolves as soon as `holds` is true; it is asked again whenever the daemon writes something, and every 20 ms.
   *
   * @throws after 30 s, or when the daemon ended and it is still false, with the end of what it wrote
   */
  async waitFor(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!(await holds())) {
      if (this.#exit !== undefined) throw this.#failure(`the daemon ended while ${what} was waited for`);
      if (Date.now() > deadline) throw this.#failure(`${what} did not come within ${PATIENCE_MS} ms`);
      await this.#nextChange();
    }
  }

  /** Sends SIGTERM and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<DaemonExit> {
    if (this.#exit === undefined) this.child.kill(signal);
    return this.stopped();
  }

  /** Waits for an end that is under way, at most 30 s, then ends it. Its folder is removed. */
  async stopped(): Promise<DaemonExit> {
    const timer = setTimeout(() => this.child.kill("SIGKILL"), PATIENCE_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    rmSync(this.directory, { recursive: true, force: true });
    return exit;
  }

  /** Ends it at once. Its workers see the end of their input. */
  kill(): Promise<DaemonExit> {
    return this.stop("SIGKILL");
  }

  #readLines(stream: NodeJS.ReadableStream | null): void {
    let rest = "";
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#readLine(line);
      this.#changed();
    });
  }

  #readLine(line: string): void {
    const record = line.startsWith('{"level"') ? parse(line) : undefined;
    const target: unknown[] = record === undefined ? this.output : this.log;
    target.push(record ?? line);
    if (target.length > MAX_LINES) target.splice(0, MAX_LINES / 2);
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#listeners.delete(done);
        resolve();
      };
      const timer = setTimeout(done, 20);
      this.#listeners.add(done);
    });
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #failure(text: string): Error {
    const records = this.log.slice(-20).map((line) => JSON.stringify(line));
    return new Error([text, ...this.output.slice(-20), ...records].join("\n"));
  }
}

function parse(line: string): DaemonLogLine | undefined {
  try {
    return JSON.parse(line) as DaemonLogLine;
  } catch {
    return undefined;
  }
}

/** The folder of package.json, whether this runs from the sources or from dist. */
function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "bin/jobsd.js"))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error("bin/jobsd.js was not found above the testing library");
    directory = parent;
  }
  return directory;
}
