import { spawnSync } from "node:child_process";
import { describe, jest } from "@jest/globals";

/** Real processes take their time on a busy machine; every wait inside a test has its own limit. */
const TEST_TIMEOUT_MS = 60_000;

const hasPhp = spawnSync("php", ["-v"]).status === 0;
const autoload = process.env["JOBSD_PHP_AUTOLOAD"] ?? "";

/** A suite that needs PHP; without it, it is skipped and its title says why. */
export function describeWithPhp(title: string, body: () => void): void {
  jest.setTimeout(TEST_TIMEOUT_MS);
  if (hasPhp) describe(title, body);
  else describe.skip(`${title} (skipped: php is not installed)`, body);
}

/** A suite that needs the stock PHP packages, found by the file JOBSD_PHP_AUTOLOAD names. */
export function describeWithStockPackages(title: string, body: () => void): void {
  jest.setTimeout(TEST_TIMEOUT_MS);
  if (hasPhp && autoload !== "") describe(title, body);
  else {
    const reason = hasPhp ? "JOBSD_PHP_AUTOLOAD is not set" : "php is not installed";
    describe.skip(`${title} (skipped: ${reason})`, body);
  }
}
