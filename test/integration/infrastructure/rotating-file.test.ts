import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { LogFileConfig } from "../../../src/infrastructure/config/config.ts";
import { RotatingFile } from "../../../src/infrastructure/logging/rotating-file.ts";

const START_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
const DAY_MS = 86_400_000;

let directory: string;
let nowMs: number;
let failures: unknown[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "jobsd-rotating-"));
  nowMs = START_MS;
  failures = [];
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function open(options: Partial<LogFileConfig> = {}): RotatingFile {
  const path = join(directory, "a.log");
  const standard = { path, maxSizeBytes: 10, maxAgeMs: DAY_MS, maxBackups: 10, compress: false };
  return new RotatingFile(
    { ...standard, ...options },
    () => nowMs,
    (error) => failures.push(error),
  );
}

function files(): readonly string[] {
  return readdirSync(directory).sort();
}

function text(name: string): string {
  return readFileSync(join(directory, name), "utf8");
}

test("[CFG-79] a full file is renamed after the moment and a new one begun, so that none is larger than max_size", async () => {
  const file = open();

  file.write("12345\n");
  file.write("abc\n");
  nowMs += 1000;
  file.write("next\n");
  await file.settled();

  expect(files()).toEqual(["a-2026-01-02T03-04-06.006.log", "a.log"]);
  expect(text("a-2026-01-02T03-04-06.006.log")).toBe("12345\nabc\n");
  expect(text("a.log")).toBe("next\n");
  expect(failures).toEqual([]);
  file.close();
});

test("what an earlier process wrote counts", async () => {
  writeFileSync(join(directory, "a.log"), "12345678\n");
  const file = open();

  file.write("ab\n");
  await file.settled();

  expect(files()).toHaveLength(2);
  file.close();
});

test("a record that is too large is written whole", async () => {
  const file = open();

  file.write("a record of more than ten bytes\n");
  file.write("b\n");
  await file.settled();

  expect(text("a-2026-01-02T03-04-05.006.log")).toBe("a record of more than ten bytes\n");
  expect(text("a.log")).toBe("b\n");
  file.close();
});

test("rotations of the same millisecond do not replace each other", async () => {
  const file = open();

  for (const record of ["record 1\n", "record 2\n", "record 3\n", "record 4\n"]) file.write(record);
  await file.settled();

  expect(files().map(text).sort()).toEqual(["record 1\n", "record 2\n", "record 3\n", "record 4\n"]);
  file.close();
});

test("[CFG-79] old files are removed when there are more than max_backups, the oldest first", async () => {
  const file = open({ maxBackups: 2 });

  for (let count = 1; count <= 5; count++) {
    nowMs += 1000;
    file.write(`record ${count}\n`);
  }
  await file.settled();

  expect(files().map(text)).toEqual(["record 3\n", "record 4\n", "record 5\n"]);
  file.close();
});

test("old files are removed at the start when they are older than max_age, and others are left alone", async () => {
  for (const name of ["a-2025-12-31T00-00-00.000.log", "a-2026-01-02T00-00-00.000.log.gz", "a-notes.log", "b.log"]) {
    writeFileSync(join(directory, name), "");
  }
  writeFileSync(join(directory, "a-2025-12-30T00-00-00.000.log.gz"), "");

  const file = open();
  await file.settled();

  expect(files()).toEqual(["a-2026-01-02T00-00-00.000.log.gz", "a-notes.log", "a.log", "b.log"]);
  file.close();
});

test("[CFG-79] old files are compressed, also those an earlier process left behind", async () => {
  writeFileSync(join(directory, "a-2026-01-02T00-00-00.000.log"), "left behind\n");
  const file = open({ compress: true });

  file.write("record 1\n");
  file.write("record 2\n");
  await file.settled();

  expect(files()).toEqual(["a-2026-01-02T00-00-00.000.log.gz", "a-2026-01-02T03-04-05.006.log.gz", "a.log"]);
  const [left = "", first = ""] = files();
  expect(gunzipSync(readFileSync(join(directory, left))).toString()).toBe("left behind\n");
  expect(gunzipSync(readFileSync(join(directory, first))).toString()).toBe("record 1\n");
  expect(failures).toEqual([]);
  file.close();
});

test("[CFG-79] after a rename by somebody else, SIGHUP begins a new file", async () => {
  const file = open();
  file.write("one\n");

  renameSync(join(directory, "a.log"), join(directory, "a.log.1"));
  file.reopen();
  file.write("two\n");
  await file.settled();

  expect(text("a.log.1")).toBe("one\n");
  expect(text("a.log")).toBe("two\n");
  file.close();
});

test("a rename that fails is reported, and the records are still written", async () => {
  const file = open();
  file.write("record 1\n");
  renameSync(join(directory, "a.log"), join(directory, "moved.log"));

  file.write("r 2\n");
  file.write("r 3\n");
  await file.settled();

  expect(failures.map(String)).toEqual([expect.stringContaining("ENOENT")]);
  expect(text("a.log")).toBe("r 2\nr 3\n");
  file.close();
});

test("old files that can not be removed are reported", async () => {
  mkdirSync(join(directory, "a-2025-01-01T00-00-00.000.log"));

  const file = open();
  await file.settled();

  expect(failures).toHaveLength(1);
  file.close();
});

test("a file that can not be opened is a configuration error", () => {
  expect(() => open({ path: join(directory, "no", "a.log") })).toThrow(
    /^logs\.file_logger_options\.log_output: can not write to .*ENOENT/,
  );
});
