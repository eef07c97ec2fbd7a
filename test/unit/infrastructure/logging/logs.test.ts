import { describe, expect, test } from "@jest/globals";
import { DriverUnavailableError } from "../../../../src/domain/errors.ts";
import type { LoggerConfig } from "../../../../src/infrastructure/config/config.ts";
import { Logs } from "../../../../src/infrastructure/logging/channels.ts";

const NOW_MS = Date.UTC(2026, 0, 1);

class FakeOutputs {
  readonly lines = new Map<string, string[]>();
  readonly calls: string[] = [];
  readonly failures = new Map<string, (error: unknown) => void>();

  readonly open = (output: string, onFailure: (error: unknown) => void) => {
    const lines: string[] = [];
    this.lines.set(output, lines);
    this.failures.set(output, onFailure);
    return {
      write: (text: string) => lines.push(text),
      reopen: () => this.calls.push(`reopen ${output}`),
      close: () => this.calls.push(`close ${output}`),
    };
  };

  of(output: string): readonly string[] {
    return this.lines.get(output) ?? [];
  }
}

const DEVELOPMENT: LoggerConfig = {
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

const PRODUCTION: LoggerConfig = { ...DEVELOPMENT, mode: "production", encoding: "json" };

function open(root: LoggerConfig, channels: Readonly<Record<string, LoggerConfig>> = {}, colour = false) {
  const outputs = new FakeOutputs();
  const logs = new Logs(
    { root, channels },
    {
      nowMs: () => NOW_MS,
      openSink: outputs.open,
      openFile: (file, _, onFailure) => outputs.open(`rotated ${file.path}`, onFailure),
      colour,
    },
  );
  return { logs, outputs };
}

function line(config: LoggerConfig, colour = false): string {
  const { logs, outputs } = open(config, {}, colour);
  logs.channel("jobs").info({ ID: "a-1", elapsed: 3 }, "job was pushed successfully");
  return outputs.of("stderr").join("");
}

describe("a record", () => {
  test("[CFG-77] has the bytes of RoadRunner in production, development and raw mode", () => {
    expect(line(PRODUCTION)).toBe(
      '{"level":"info","ts":1767225600000000000,"logger":"jobs","msg":"job was pushed successfully","ID":"a-1","elapsed":3}\n',
    );
    expect(line(DEVELOPMENT)).toBe(
      '2026-01-01T00:00:00+0000\tINFO\tjobs        \tjob was pushed successfully\t{"ID": "a-1", "elapsed": 3}\n',
    );
    expect(line({ ...DEVELOPMENT, mode: "raw" })).toBe('job was pushed successfully\t{"ID": "a-1", "elapsed": 3}\n');
  });

  test("is laid out for people in an unknown mode, and in JSON with short keys", () => {
    expect(line({ ...DEVELOPMENT, mode: "other" })).toBe(line(DEVELOPMENT));
    expect(line({ ...DEVELOPMENT, mode: "other", encoding: "json" })).toBe(
      '{"L":"INFO","T":"2026-01-01T00:00:00+0000","N":"jobs        ","M":"job was pushed successfully","ID":"a-1","elapsed":3}\n',
    );
  });

  test("keeps upper-case levels and padded names in development JSON", () => {
    expect(line({ ...DEVELOPMENT, encoding: "json" })).toBe(
      '{"level":"INFO","ts":"2026-01-01T00:00:00+0000","logger":"jobs        ","msg":"job was pushed successfully","ID":"a-1","elapsed":3}\n',
    );
  });

  test("has no fields object without fields, and no name without a channel", () => {
    const { logs, outputs } = open(DEVELOPMENT);

    logs.root.warn({}, "started");

    expect(outputs.of("stderr")).toEqual(["2026-01-01T00:00:00+0000\tWARN\tstarted\n"]);
  });

  test("is coloured on a terminal", () => {
    expect(line(DEVELOPMENT, true)).toBe(
      "2026-01-01T00:00:00+0000\t\u001B[96mINFO\u001B[0m\t\u001B[92mjobs        \u001B[0m\t" +
        'job was pushed successfully\t{"ID": "a-1", "elapsed": 3}\n',
    );
  });

  test("ends as line_ending says", () => {
    expect(line({ ...PRODUCTION, lineEnding: "\r\n" }).endsWith('"elapsed":3}\r\n')).toBe(true);
  });

  test("has no end at all where line_ending is empty", () => {
    expect(line({ ...DEVELOPMENT, mode: "raw", lineEnding: "" })).toBe(
      'job was pushed successfully\t{"ID": "a-1", "elapsed": 3}',
    );
  });

  test("is laid out by placeholders, whatever the mode and encoding say", () => {
    const format = "%time% [%level%] %logger%: %message% %attrs%|%source_file%%source_line%%source_func%%other%";

    expect(line({ ...PRODUCTION, format })).toBe(
      '2026-01-01T00:00:00Z [INFO] jobs: job was pushed successfully {"ID": "a-1", "elapsed": 3}|%other%\n',
    );
  });

  test("has no attributes where there are no fields, and placeholders in a message are no placeholders", () => {
    const { logs, outputs } = open({ ...DEVELOPMENT, format: "%logger%<%message%>%attrs%" });

    logs.root.info({}, "100 %time% $&");

    expect(outputs.of("stderr")).toEqual(["<100 %time% $&>\n"]);
  });

  test("has its time as time_format says, in every mode", () => {
    const timeFormat = "02.01.2006 15:04:05.000";

    expect(line({ ...DEVELOPMENT, timeFormat })).toMatch(/^01\.01\.2026 00:00:00\.000\tINFO\t/);
    expect(line({ ...PRODUCTION, timeFormat })).toContain('"ts":"01.01.2026 00:00:00.000"');
    expect(line({ ...PRODUCTION, encoding: "console", timeFormat })).toMatch(/^01\.01\.2026 00:00:00\.000\tinfo\t/);
    expect(line({ ...DEVELOPMENT, format: "%time%", timeFormat })).toBe("01.01.2026 00:00:00.000\n");
  });

  test("writes moments as nanoseconds for machines and as text for people", () => {
    const start = new Date(NOW_MS + 1);
    const machines = open(PRODUCTION);
    const people = open(DEVELOPMENT);

    machines.logs.channel("jobs").debug({ start }, "m");
    people.logs.channel("jobs").debug({ start }, "m");

    expect(machines.outputs.of("stderr")[0]).toContain('"start":1767225600001000000}');
    expect(people.outputs.of("stderr")[0]).toContain('{"start": "2026-01-01T00:00:00+0000"}');
  });

  test("keeps fields that are named like the parts of a record", () => {
    const { logs, outputs } = open(DEVELOPMENT);

    logs.channel("app").error({ level: 1, msg: "x", logger: [{ a: null }] }, "text");

    expect(outputs.of("stderr")).toEqual([
      '2026-01-01T00:00:00+0000\tERROR\tapp         \ttext\t{"level": 1, "msg": "x", "logger": [{"a": null}]}\n',
    ]);
  });

  test("has the text, the code and the causes of an error, and its details", () => {
    const cause = new Error("connect ECONNREFUSED", { cause: new Error("port 5672") });
    const { logs, outputs } = open(PRODUCTION);

    logs.channel("amqp").error({ pipeline: "a", err: new DriverUnavailableError("amqp", { cause }) }, "failed");

    expect(outputs.of("stderr")[0]).toContain(
      '"msg":"failed","pipeline":"a","error":"amqp: broker is not reachable: connect ECONNREFUSED: port 5672",' +
        '"code":"JOBS_DRIVER_UNAVAILABLE","driver":"amqp"}',
    );
  });

  test("has the stack of an error that is a bug, and survives what is no error at all", () => {
    const { logs, outputs } = open(PRODUCTION);

    logs.root.error({ err: new TypeError("x is not a function") }, "bug");
    logs.root.error({ err: "text" }, "odd");
    logs.root.error({ err: { a: 1 } }, "odder");

    expect(outputs.of("stderr")[0]).toContain('"error":"x is not a function","stack":"TypeError: x is not');
    expect(outputs.of("stderr")[1]).toContain('"error":"text"}');
    expect(outputs.of("stderr")[2]).toContain('"error":"an error without a text"}');
  });

  test("never shows secrets, payloads or bytes", () => {
    const { logs, outputs } = open(PRODUCTION);
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;

    logs.root.info({ Password: "canary", sasl: { token: "canary" }, payload: "canary", raw: new Uint8Array(3) }, "m");
    logs.root.info({ circle, big: 5n }, "m");

    expect(outputs.of("stderr").join("")).not.toContain("canary");
    expect(outputs.of("stderr")[0]).toContain('"sasl":{"token":"[redacted]"},"payload":"[redacted]","raw":"[3 bytes]"');
    expect(outputs.of("stderr")).toHaveLength(2);
  });
});

describe("a logger", () => {
  test("[CFG-78] drops what is below its level, and says so before", () => {
    const { logs, outputs } = open({ ...PRODUCTION, level: "warn" });
    const log = logs.channel("jobs");

    log.debug({}, "d");
    log.info({}, "i");
    log.warn({}, "w");
    log.error({}, "e");

    expect(outputs.of("stderr")).toHaveLength(2);
    expect([log.enabled("debug"), log.enabled("info"), log.enabled("warn"), log.enabled("error")]).toEqual([
      false,
      false,
      true,
      true,
    ]);
  });

  test("[CFG-78] writes nothing when it is off, or above every level we use", () => {
    for (const config of [{ ...DEVELOPMENT, mode: "off" } as const, { ...PRODUCTION, level: "silent" } as const]) {
      const { logs, outputs } = open(config);

      logs.root.error({}, "e");

      expect(logs.root.enabled("error")).toBe(false);
      expect(outputs.of("stderr")).toEqual([]);
    }
  });

  test("of a channel has its own level and outputs, whatever the case of its name", () => {
    const { logs, outputs } = open(
      { ...PRODUCTION, level: "warn" },
      { server: { ...PRODUCTION, level: "info", output: ["stdout", "a.log"] } },
    );

    logs.channel("jobs").info({}, "dropped");
    logs.root.channel("Server").info({}, "kept");

    expect(outputs.of("stderr")).toEqual([]);
    expect(outputs.of("stdout")).toHaveLength(1);
    expect(outputs.of("a.log")).toEqual(outputs.of("stdout"));
  });

  test("is the same for the same channel", () => {
    const { logs } = open(PRODUCTION);

    expect(logs.channel("jobs")).toBe(logs.root.channel("jobs"));
  });
});

describe("outputs", () => {
  test("of errors get these records and no others, besides the usual ones, and none of them twice", () => {
    const { logs, outputs } = open({ ...PRODUCTION, output: ["stdout"], errorOutput: ["stderr", "stdout"] });

    logs.channel("jobs").warn({}, "w");
    logs.channel("jobs").error({}, "e");

    expect(outputs.of("stdout")).toHaveLength(2);
    expect(outputs.of("stderr")).toEqual([expect.stringContaining('"msg":"e"')]);
  });

  test("are replaced by a file with rotation, which channels share", () => {
    const file = { path: "a.log", maxSizeBytes: 1, maxAgeMs: 1, maxBackups: 1, compress: false };
    const { logs, outputs } = open({ ...PRODUCTION, file }, { x: { ...PRODUCTION, file, level: "warn" } });

    logs.root.info({}, "one");
    logs.channel("x").warn({}, "two");

    expect([...outputs.lines.keys()]).toEqual(["rotated a.log"]);
    expect(outputs.of("rotated a.log")).toHaveLength(2);
  });

  test("are opened once, reopened and closed together", () => {
    const { logs, outputs } = open({ ...PRODUCTION, output: ["a.log", "stderr"] }, { x: { ...PRODUCTION } });

    logs.reopen();
    logs.close();

    expect([...outputs.lines.keys()]).toEqual(["a.log", "stderr"]);
    expect(outputs.calls).toEqual(["reopen a.log", "reopen stderr", "close a.log", "close stderr"]);
  });

  test("that fail are told once on those that work", () => {
    const { logs, outputs } = open({ ...PRODUCTION, output: ["a.log", "stderr"] });
    logs.channel("jobs");

    outputs.failures.get("a.log")?.(new Error("ENOSPC"));
    outputs.failures.get("a.log")?.(new Error("ENOSPC"));

    expect(outputs.of("stderr")).toEqual([
      '{"level":"warn","ts":1767225600000000000,"msg":"log output failed, records are lost","error":"ENOSPC","output":"a.log"}\n',
    ]);
  });
});
