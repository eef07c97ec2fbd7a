import { loadConfig } from "../../config/load-config.ts";
import { redacted } from "../../config/redact.ts";
import { resolveConfigPath } from "../../config/resolve-config-path.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import type { GlobalOptions, Output } from "../flags.ts";
import { jsonText } from "../table.ts";

/** Body of `config`: the configuration with includes, variables and overrides in it, secrets masked. */
export function showConfig(options: GlobalOptions, output: Output): number {
  const { overrides, dotenv } = options;
  const { path, directory } = resolveConfigPath(options.config, options.workDir, process.cwd());
  const { config } = loadConfig({ path, directory, overrides, dotenv });
  output.writeOut(jsonText(redacted(config.source)));
  return EXIT_CODES.ok;
}
