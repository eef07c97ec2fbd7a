import { expect } from "@jest/globals";
import { JobsError, messageOf } from "../../../../src/domain/errors.ts";
import { loadConfig, type ConfigSource, type LoadedConfig } from "../../../../src/infrastructure/config/load-config.ts";
import { formatProblem } from "../../../../src/infrastructure/config/problems.ts";

/** The least a file needs that has a section `jobs`. */
export const MINIMAL = 'version: "3"\nserver: {command: php worker.php}\n';

export function load(text: string, more: Partial<ConfigSource> = {}): LoadedConfig {
  return loadConfig({ path: ".rr.yaml", env: {}, readFile: () => text, cpuCount: 4, memoryMaxBytes: 1000, ...more });
}

/** Lines of the refusal. */
export function refused(text: string, more: Partial<ConfigSource> = {}): readonly string[] {
  try {
    load(text, more);
  } catch (error) {
    expect(JobsError.is(error) && error.code).toBe("JOBS_CONFIG_INVALID");
    return messageOf(error).split("\n");
  }
  throw new Error("the configuration was accepted");
}

export function warnings(text: string, more: Partial<ConfigSource> = {}): readonly string[] {
  return load(text, more).warnings.map(formatProblem);
}

/** Loads `rr.yaml` of a folder `/srv` with these files. */
export function loadFiles(files: Readonly<Record<string, string>>, more: Partial<ConfigSource> = {}): LoadedConfig {
  return load("", { path: "/srv/rr.yaml", readFile: reader(files), ...more });
}

/** Lines of the refusal of such a folder. */
export function refusedFiles(
  files: Readonly<Record<string, string>>,
  more: Partial<ConfigSource> = {},
): readonly string[] {
  return refused("", { path: "/srv/rr.yaml", readFile: reader(files), ...more });
}

function reader(files: Readonly<Record<string, string>>): (path: string) => string {
  return (path) => {
    const text = files[path.replace("/srv/", "")];
    if (text === undefined) throw Object.assign(new Error("ENOENT"), { code: "ENOENT" });
    return text;
  };
}
