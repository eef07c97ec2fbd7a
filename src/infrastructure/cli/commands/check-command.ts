import { JobsError, messageOf } from "../../../domain/errors.ts";
import { loadConfig, type ConfigSource } from "../../config/load-config.ts";
import { ConfigProblems, formatProblem } from "../../config/problems.ts";
import { resolveConfigPath } from "../../config/resolve-config-path.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import type { GlobalOptions, Output } from "../flags.ts";
import { jsonText } from "../table.ts";

/** What a check depends on besides its options; `source` replaces the file system and the environment in tests. */
export interface CheckContext extends Pick<Output, "writeOut" | "writeError"> {
  readonly currentDir: string;
  readonly source?: Omit<ConfigSource, "path" | "overrides">;
}

/** Body of `check`: tells every problem and starts nothing. Exit code 1 if the daemon would not start. */
export function checkConfig(options: GlobalOptions, context: CheckContext, json = false): number {
  const { overrides, dotenv } = options;
  try {
    const { path, directory } = resolveConfigPath(options.config, options.workDir, context.currentDir);
    const { warnings, infos } = loadConfig({ ...context.source, path, directory, overrides, dotenv });
    if (json) context.writeOut(jsonText({ usable: true, problems: [...warnings, ...infos] }));
    else {
      for (const problem of [...warnings, ...infos]) context.writeOut(`${formatProblem(problem)}\n`);
      if (!options.silent) context.writeOut(`${path}: can be used, ${warnings.length} warnings\n`);
    }
    return EXIT_CODES.ok;
  } catch (error) {
    if (!JobsError.is(error)) throw error;
    if (json) context.writeOut(jsonText({ usable: false, problems: problemsOf(error) }));
    else context.writeError(`${messageOf(error)}\n`);
    return EXIT_CODES.failure;
  }
}

/** A file that can not even be read has one problem and no place. */
function problemsOf(error: JobsError): readonly object[] {
  if (error.cause instanceof ConfigProblems) return error.cause.problems;
  return [{ severity: "error", path: "", message: messageOf(error) }];
}
