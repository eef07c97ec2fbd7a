import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openSink } from "../../../src/infrastructure/logging/sinks.ts";

let directory: string;

function fail(error: unknown): void {
  throw error;
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "jobsd-sinks-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

test("a line is in the file when the call returns, and files are appended to", () => {
  const path = join(directory, "a.log");
  const first = openSink(path, fail);
  first.write("one\n");
  first.close();

  const second = openSink(pathToFileURL(path).href, fail);
  second.write("two\n");

  expect(readFileSync(path, "utf8")).toBe("one\ntwo\n");
  second.close();
});

test("after a reopen lines go to a new file, the renamed one keeps the old", () => {
  const path = join(directory, "a.log");
  const sink = openSink(path, fail);
  sink.write("one\n");

  renameSync(path, `${path}.1`);
  sink.reopen();
  sink.write("two\n");

  expect(readFileSync(`${path}.1`, "utf8")).toBe("one\n");
  expect(readFileSync(path, "utf8")).toBe("two\n");
  sink.close();
});

test("a file that can not be written is a configuration error", () => {
  expect(() => openSink(join(directory, "no", "a.log"), fail)).toThrow(/^logs\.output: can not write to .*ENOENT/);
});

const fullDevice = existsSync("/dev/full") ? test : test.skip;

fullDevice("a full disk is reported and does not throw", () => {
  const failures: string[] = [];
  const sink = openSink("/dev/full", (error) => {
    failures.push(String(error));
  });

  sink.write("one\n");
  sink.write("two\n");
  sink.close();

  expect(failures.length).toBeGreaterThan(0);
  expect(failures[0]).toContain("ENOSPC");
});
