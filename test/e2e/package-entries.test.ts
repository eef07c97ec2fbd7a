import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "@jest/globals";
import { repositoryFile } from "../support/repository.ts";

const run = promisify(execFile);

/** What a program sees that imports the package by this name. */
async function exportsOf(entry: string): Promise<readonly string[]> {
  const script = `import(${JSON.stringify(entry)}).then((entry) => console.log(JSON.stringify(Object.keys(entry))))`;
  const { stdout } = await run(process.execPath, ["-e", script], { cwd: repositoryFile(".") });
  return JSON.parse(stdout) as string[];
}

describe("the package", () => {
  test.each([
    ["jobsd", ["createJobsd", "Job", "loadConfig", "openLogs", "PushJob", "TOKENS"]],
    ["jobsd/driver", ["ACK", "Job", "JobsError", "LINK_READY", "PipelineSettings", "ReconnectingLink", "testDriver"]],
    ["jobsd/testing", ["aJob", "DaemonProcess", "FakeClock", "FakeDriver", "FakePool", "RpcClient"]],
    ["jobsd/worker", ["consume", "Task"]],
  ])(
    "%s gives what its documentation uses",
    async (entry, names) => {
      expect(await exportsOf(entry)).toEqual(expect.arrayContaining(names));
    },
    60_000,
  );
});
