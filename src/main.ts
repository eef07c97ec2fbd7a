import "reflect-metadata";
import { basename } from "node:path";
import type { Output } from "./infrastructure/cli/flags.ts";
import { runCli } from "./infrastructure/cli/program.ts";

const program = basename(process.argv[1] ?? "", ".js") === "rr" ? "rr" : "jobsd";
const output: Output = {
  writeOut: (text) => {
    process.stdout.write(text);
  },
  writeError: (text) => {
    process.stderr.write(text);
  },
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
};
const { writeOut, writeError } = output;

// Bodies are loaded when their command runs: `version` and `help` need none of what `serve` needs.
process.exitCode = await runCli(process.argv.slice(2), {
  program,
  serve: async (options) => {
    const { serve } = await import("./infrastructure/cli/commands/serve-command.ts");
    return serve(options, { writeOut });
  },
  check: async (options, json) => {
    const { checkConfig } = await import("./infrastructure/cli/commands/check-command.ts");
    return checkConfig(options, { currentDir: process.cwd(), writeOut, writeError }, json);
  },
  config: async (options) => {
    const { showConfig } = await import("./infrastructure/cli/commands/config-command.ts");
    return showConfig(options, output);
  },
  workers: async (options, request) => {
    const { showWorkers } = await import("./infrastructure/cli/commands/workers-command.ts");
    return showWorkers(options, request, output);
  },
  jobs: async (options, request) => {
    const { manageJobs } = await import("./infrastructure/cli/commands/jobs-command.ts");
    return manageJobs(options, request, output);
  },
  failed: async (options, request) => {
    const { manageFailed } = await import("./infrastructure/cli/commands/failed-command.ts");
    return manageFailed(options, request, output);
  },
  reset: async (options, plugins) => {
    const { resetWorkers } = await import("./infrastructure/cli/commands/reset-command.ts");
    return resetWorkers(options, plugins, output);
  },
  stop: async (options, request) => {
    const { stopDaemon } = await import("./infrastructure/cli/commands/stop-command.ts");
    return stopDaemon(options, request, output);
  },
  writeOut,
  writeError,
});
