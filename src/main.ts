import "reflect-metadata";
import { basename } from "node:path";
import { runCli } from "./infrastructure/cli/program.ts";

const program = basename(process.argv[1] ?? "", ".js") === "rr" ? "rr" : "jobsd";
const writeOut = (text: string): void => {
  process.stdout.write(text);
};
const writeError = (text: string): void => {
  process.stderr.write(text);
};

// Bodies are loaded when their command runs: `version` and `help` need none of what `serve` needs.
process.exitCode = await runCli(process.argv.slice(2), {
  program,
  serve: async (options) => {
    const { serve } = await import("./infrastructure/cli/commands/serve-command.ts");
    return serve(options, { writeOut });
  },
  check: async (options) => {
    const { checkConfig } = await import("./infrastructure/cli/commands/check-command.ts");
    return checkConfig(options, { currentDir: process.cwd(), writeOut, writeError });
  },
  writeOut,
  writeError,
});
