import { JobsError, messageOf } from "../../../domain/errors.ts";
import { loadConfig, type ConfigSource } from "../../config/load-config.ts";
import { formatProblem } from "../../config/problems.ts";
import { resolveConfigPath } from "../../config/resolve-config-path.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import type { CliContext, GlobalOptions } from "../program.ts";

/** What a check depends on besides its options; `source` replaces the file system and the environment in tests. */
export interface CheckContext extends Pick<CliContext, "writeOut" | "writeError"> {
  readonly currentDir: string;
  readonly source?: Omit<ConfigSource, "path" | "overrides">;
}

/** Body of `check`: tells every problem and starts nothing. Exit code 1 if the daemon would not start. */
export function checkConfig(options: GlobalOptions, context: CheckContext): number {
  try {
    const { overrides, dotenv } = options;
    const { path, directory } = resolveConfigPath(options.config, options.workDir, context.currentDir);
    const { warnings, infos } = loadConfig({ ...context.source, path, directory, overrides, dotenv });
    for (const problem of [...warnings, ...infos]) context.writeOut(`${formatProblem(problem)}\n`);
    if (!options.silent) context.writeOut(`${path}: can be used, ${warnings.length} warnings\n`);
    return EXIT_CODES.ok;
  } catch (error) {
    if (!JobsError.is(error)) throw error;
    context.writeError(`${messageOf(error)}\n`);
    return EXIT_CODES.failure;
  }
}
