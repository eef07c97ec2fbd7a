import { describe, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryFile } from "./repository.ts";

/** The brokers `scripts/brokers.sh` knows, by the names of our drivers. */
export type BrokerKind = "amqp" | "kafka" | "sqs" | "nats" | "beanstalk";

/** A broker that answers. */
export interface Broker {
  /**
   * `amqp://user:password@host:port`, `nats://host:port`, `tcp://host:port` (beanstalk), `host:port[,host:port…]` (kafka),
   * `http://host:port` (sqs).
   */
  readonly address: string;
}

/** How a private broker differs from the usual one. */
export interface PrivateBrokerOptions {
  /**
   * Lines appended to the server's configuration (all but beanstalk); the last of two with one key wins. `@PORT@`,
   * `@TLS_PORT@` (amqp, kafka), `@CONTROLLER_PORT@` (kafka) and `@DIR@`, the broker's folder, are replaced.
   */
  readonly lines?: readonly string[];
  /** Further arguments of the server (beanstalk, nats), e.g. `-z 1048576`. */
  readonly flags?: string;
  /** Nodes of a Kafka cluster: `node1`, `node2` … Default 1. */
  readonly nodes?: number;
}

/** Installing may come before the first start, and the machine may be busy. */
const COMMAND_TIMEOUT_MS = 300_000;

/**
 * The broker all suites of a run share, so every queue in it needs a name of its own: `uniqueName`. It is the
 * environment that tells of it, set by `npm test` or by `eval "$(scripts/brokers.sh env)"`; `undefined` if it does not.
 */
export function sharedBroker(kind: BrokerKind): Broker | undefined {
  const address = process.env[`JOBSD_TEST_${kind.toUpperCase()}`];
  return address === undefined || address === "" ? undefined : { address };
}

/** Whether brokers of the kind can be started by a test itself. */
export function canStartBroker(kind: BrokerKind): boolean {
  return (process.env["JOBSD_TEST_PRIVATE_BROKERS"] ?? "").split(",").includes(kind);
}

/** Suites that need the shared broker; skipped by name where there is none. */
export function describeWithBroker(kind: BrokerKind, title: string, body: (broker: Broker) => void): void {
  const broker = sharedBroker(kind);
  if (broker === undefined) skip(kind, title);
  else {
    describe(title, () => {
      body(broker);
    });
  }
}

/** Suites that start brokers of their own; skipped by name where none can be started. */
export function describeWithPrivateBroker(kind: BrokerKind, title: string, body: () => void): void {
  if (canStartBroker(kind)) describe(title, body);
  else skip(kind, title);
}

function skip(kind: BrokerKind, title: string): void {
  describe.skip(title, () => {
    test(`needs a broker for ${kind}: see scripts/brokers.sh`, () => undefined);
  });
}

/** A name no other test and no earlier run has used: letters, digits and dashes. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString("hex")}`;
}

/**
 * Starts a broker for one suite alone. It ends with `dispose`, and with this process if that ends first.
 *
 * @throws it did not start: the error has the end of its log
 */
export async function startPrivateBroker(kind: BrokerKind, options: PrivateBrokerOptions = {}): Promise<PrivateBroker> {
  const broker = new PrivateBroker(kind, mkdtempSync(join(tmpdir(), `jobsd-${kind}-`)), options);
  try {
    await broker.start();
    return broker;
  } catch (error) {
    await broker.dispose();
    throw error;
  }
}

/** A broker that can be killed, stopped, paused and brought back; ports and data stay until `dispose`. */
export class PrivateBroker implements Broker {
  readonly kind: BrokerKind;
  /** Its files: configuration, data, logs. */
  readonly folder: string;
  #address = "";
  readonly #home: string;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(kind: BrokerKind, home: string, options: PrivateBrokerOptions) {
    this.kind = kind;
    this.#home = home;
    this.folder = join(home, kind);
    this.#environment = {
      ...process.env,
      BROKERS_DIR: home,
      BROKERS_OWNER: process.pid.toString(),
      BROKERS_LINES: (options.lines ?? []).join("\n"),
      BROKERS_FLAGS: options.flags ?? "",
      BROKERS_NODES: (options.nodes ?? 1).toString(),
    };
  }

  get address(): string {
    return this.#address;
  }

  /** Starts what does not run, and resolves when it answers. @param node one node of a cluster, e.g. `node2` */
  async start(node?: string): Promise<void> {
    await this.#run("start", this.#target(node));
    if (this.#address === "") this.#address = (await this.#run("address", this.kind)).trim();
  }

  /** Ends it as an administrator would; the data stays. */
  async stop(node?: string): Promise<void> {
    await this.#run("stop", this.#target(node));
  }

  /** Stop, then start. */
  async restart(node?: string): Promise<void> {
    await this.#run("restart", this.#target(node));
  }

  /** SIGKILL; the data stays. */
  async kill(node?: string): Promise<void> {
    await this.#run("kill", this.#target(node));
  }

  /** Stops its process: connections stay open, new ones are accepted, nothing is answered. */
  async pause(node?: string): Promise<void> {
    await this.#run("pause", this.#target(node));
  }

  async resume(node?: string): Promise<void> {
    await this.#run("resume", this.#target(node));
  }

  /** One of its ports by name: `main`, `tls` (amqp, kafka), `monitor` (nats), `management` (amqp), `main2` (kafka) … */
  async port(name: string): Promise<number> {
    return Number(await this.#run("port", this.kind, name));
  }

  /** rabbitmqctl; what it printed. */
  ctl(...args: readonly string[]): Promise<string> {
    return this.#run("ctl", ...args);
  }

  /** The end of its log. */
  log(lines = 100): Promise<string> {
    return this.#run("log", this.kind, lines.toString());
  }

  /** Ends it and deletes its data. */
  async dispose(): Promise<void> {
    await this.#run("wipe", this.kind);
    rmSync(this.#home, { recursive: true, force: true });
  }

  #target(node: string | undefined): string {
    return node === undefined ? this.kind : `${this.kind}:${node}`;
  }

  #run(...args: readonly string[]): Promise<string> {
    const options = { env: this.#environment, timeout: COMMAND_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 };
    return new Promise((resolve, reject) => {
      execFile(repositoryFile("scripts/brokers.sh"), [...args], options, (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(new Error(`brokers.sh ${args.join(" ")}: ${stderr === "" ? error.message : stderr}`));
      });
    });
  }
}
