import { describe, expect, test } from "@jest/globals";
import { Lifecycle, type Phase, type Service } from "../../../../src/infrastructure/lifecycle/lifecycle.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";

const NEVER = new AbortController().signal;

class RecordingService implements Service {
  readonly name: string;
  readonly phase: Phase;
  readonly #calls: string[];
  readonly #failing: readonly string[];

  constructor(phase: Phase, name: string, calls: string[], failing: readonly string[] = []) {
    this.phase = phase;
    this.name = name;
    this.#calls = calls;
    this.#failing = failing;
  }

  start(): Promise<void> {
    return this.#record("start");
  }

  stop(): Promise<void> {
    return this.#record("stop");
  }

  #record(what: string): Promise<void> {
    this.#calls.push(`${what} ${this.name}`);
    return this.#failing.includes(what) ? Promise.reject(new Error(`${this.name} can not ${what}`)) : Promise.resolve();
  }
}

function services(calls: string[], failing: Readonly<Record<string, readonly string[]>> = {}): readonly Service[] {
  const all: readonly (readonly [Phase, string])[] = [
    ["consumers", "consumers"],
    ["listeners", "rpc"],
    ["workers", "pool"],
    ["telemetry", "logs"],
    ["drivers", "drivers"],
    ["listeners", "http"],
  ];
  return all.map(([phase, name]) => new RecordingService(phase, name, calls, failing[name]));
}

describe("the life cycle", () => {
  test("starts phase by phase, and stops backwards with the listeners after the drivers", async () => {
    const calls: string[] = [];
    const lifecycle = new Lifecycle(services(calls), new FakeLogger());

    await lifecycle.start(NEVER);
    await lifecycle.stop(NEVER);

    const started = ["logs", "drivers", "rpc", "http", "pool", "consumers"];
    const stopped = ["consumers", "pool", "drivers", "http", "rpc", "logs"];
    expect(calls).toEqual([...started.map((name) => `start ${name}`), ...stopped.map((name) => `stop ${name}`)]);
  });

  test("stops exactly what had started when a start fails", async () => {
    const calls: string[] = [];
    const lifecycle = new Lifecycle(services(calls, { pool: ["start"] }), new FakeLogger());

    await expect(lifecycle.start(NEVER)).rejects.toThrow("pool can not start");
    await lifecycle.stop(NEVER);

    expect(calls.slice(5)).toEqual(["stop drivers", "stop http", "stop rpc", "stop logs"]);
  });

  test("goes on when a stop fails, and logs which", async () => {
    const calls: string[] = [];
    const log = new FakeLogger();
    const lifecycle = new Lifecycle(services(calls, { pool: ["stop"], logs: ["stop"] }), log);

    await lifecycle.start(NEVER);
    await lifecycle.stop(NEVER);

    expect(calls.at(-1)).toBe("stop logs");
    expect(log.records.map((record) => record.fields["service"])).toEqual(["pool", "logs"]);
  });

  test("stops every service once, however often it is told to", async () => {
    const calls: string[] = [];
    const lifecycle = new Lifecycle(services(calls), new FakeLogger());
    await lifecycle.start(NEVER);

    await Promise.all([lifecycle.stop(NEVER), lifecycle.stop(NEVER)]);
    await lifecycle.stop(NEVER);

    expect(calls.filter((call) => call.startsWith("stop "))).toHaveLength(6);
  });

  test("starts nothing more once a stop was asked for, and stops the service that was starting", async () => {
    const calls: string[] = [];
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow: Service = {
      name: "slow",
      phase: "drivers",
      start: () => opened,
      stop: () => {
        calls.push("stop slow");
        return Promise.resolve();
      },
    };
    const lifecycle = new Lifecycle([slow, new RecordingService("workers", "pool", calls)], new FakeLogger());
    const start = lifecycle.start(NEVER);

    const stop = lifecycle.stop(NEVER);
    open();
    await Promise.all([start, stop]);

    expect(calls).toEqual(["stop slow"]);
  });

  test("rejects with the reason of a signal that fires between two starts", async () => {
    const calls: string[] = [];
    const controller = new AbortController();
    const lifecycle = new Lifecycle(
      [
        {
          name: "first",
          phase: "telemetry",
          start: () => {
            controller.abort(new Error("told to stop"));
            return Promise.resolve();
          },
          stop: () => Promise.resolve(),
        },
        new RecordingService("workers", "pool", calls),
      ],
      new FakeLogger(),
    );

    await expect(lifecycle.start(controller.signal)).rejects.toThrow("told to stop");
    expect(calls).toEqual([]);
  });
});
