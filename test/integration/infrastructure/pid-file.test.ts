import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PidFile } from "../../../src/infrastructure/lifecycle/pid-file.ts";

let directory: string;
let path: string;
let running: number[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "jobsd-pid-"));
  path = join(directory, "run", ".pid");
  running = [];
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(pid: number): PidFile {
  return PidFile.write(path, pid, (other) => running.push(other));
}

test("the file has the number alone, in a directory that is made, and goes at the end", () => {
  const file = write(4711);

  expect(readFileSync(path, "utf8")).toBe("4711");
  expect(readdirSync(join(directory, "run"))).toEqual([".pid"]);

  file.remove();
  file.remove();
  expect(existsSync(path)).toBe(false);
});

test("a process that runs and is named by the file is told, one that ended is not", () => {
  const { pid: ended } = spawnSync(process.execPath, ["-e", "0"]);
  mkdirSync(join(directory, "run"));

  writeFileSync(path, ended.toString());
  write(process.pid);
  write(process.pid);
  writeFileSync(path, `${process.ppid}\n`);
  write(process.pid);

  expect(running).toEqual([process.ppid]);
  expect(readFileSync(path, "utf8")).toBe(process.pid.toString());
});

test.each(["", "abc", "-1", "0"])("a file with %j names no process", (content) => {
  mkdirSync(join(directory, "run"));
  writeFileSync(path, content);

  write(4711);

  expect(running).toEqual([]);
});

test("a file that another process has taken over stays", () => {
  const file = write(4711);
  writeFileSync(path, "4712");

  file.remove();

  expect(readFileSync(path, "utf8")).toBe("4712");
});

test("a file that can not be written is a configuration error", () => {
  writeFileSync(join(directory, "run"), "");

  expect(() => write(1)).toThrow(/^the pid file .*run\/\.pid can not be written: /);
});
