import { dirname, resolve } from "node:path";
import { InvalidConfigError } from "../../domain/errors.ts";

export interface ConfigLocation {
  /** Absolute path of the configuration file. */
  readonly path: string;
  /** Working directory of the daemon and its workers; relative paths in the file start here. */
  readonly directory: string;
}

/**
 * Where the configuration is and where the daemon works: with `-w` there, the file being looked up from it; else in
 * the directory of the file.
 *
 * @param workDir value of `-w`, empty if it was not given
 * @throws {InvalidConfigError} the path is empty
 */
export function resolveConfigPath(config: string, workDir: string, currentDir: string): ConfigLocation {
  if (config === "") throw new InvalidConfigError(["no configuration file provided"]);
  if (workDir !== "") {
    const directory = resolve(currentDir, workDir);
    return { path: resolve(directory, config), directory };
  }
  const path = resolve(currentDir, config);
  return { path, directory: dirname(path) };
}
