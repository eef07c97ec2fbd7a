import { spawnSync } from "node:child_process";
import { describe } from "@jest/globals";
import { fileURLToPath } from "node:url";

/** Path of a file of the repository. */
export function repositoryFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

const hasPhp = spawnSync("php", ["-v"]).status === 0;
const autoload = process.env["JOBSD_PHP_AUTOLOAD"] ?? "";

/** A suite that needs PHP; without it, it is skipped and its title says why. */
export function describeWithPhp(title: string, body: () => void): void {
  if (hasPhp) describe(title, body);
  else describe.skip(`${title} (skipped: php is not installed)`, body);
}

/** A suite that needs the stock PHP packages, found by the file JOBSD_PHP_AUTOLOAD names. */
export function describeWithStockPackages(title: string, body: () => void): void {
  if (hasPhp && autoload !== "") describe(title, body);
  else {
    const reason = hasPhp ? "JOBSD_PHP_AUTOLOAD is not set" : "php is not installed";
    describe.skip(`${title} (skipped: ${reason})`, body);
  }
}
