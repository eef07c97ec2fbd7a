// npm test: provides what the tests need, builds, runs Jest, and ends with one line of totals.
//
// Works on a bare clone with nothing but Node: uses built-in modules only. Further arguments go to Jest.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, installDependencies, root, run, works } from "./lib/prepare.mjs";

function say(text) {
  console.log(`[test] ${text}`);
}

/** PHP, if there is any or we may install it. */
function providePhp() {
  if (works("php", ["-v"])) return true;
  if (process.getuid?.() !== 0 || !works("apt-get", ["--version"])) return false;
  say("installing php-cli");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  run("apt-get", ["update"], { env });
  run("apt-get", ["install", "-y", "--no-install-recommends", "php-cli"], { env });
  return works("php", ["-v"]);
}

/** Suites that need PHP: all that are end to end, and those whose file name says so. */
function phpSuites(directory = join(root, "test")) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .filter((path) => /\/test\/(e2e\/|(integration|faults)\/.*php[^/]*$)/.test(path))
    .map((path) => path.slice(root.length));
}

function fail(reason) {
  say(reason);
  console.log("0 passed, 1 failed");
  process.exit(1);
}

/** Runs Jest and returns its totals; a suite that could not run counts as one failure. */
function runJest(args) {
  const directory = mkdtempSync(join(tmpdir(), "jobsd-test-"));
  const report = join(directory, "report.json");
  const jest = join(root, "node_modules", "jest", "bin", "jest.js");
  const flags = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"];
  try {
    const succeeded = run(process.execPath, [...flags, jest, "--json", `--outputFile=${report}`, ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (!existsSync(report)) return { passed: 0, failed: 1, skipped: 0 };
    const result = JSON.parse(readFileSync(report, "utf8"));
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
    return {
      passed: result.numPassedTests,
      failed: succeeded ? failed : Math.max(failed, 1),
      skipped: result.numPendingTests + result.numTodoTests,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (!installDependencies(say)) fail("dependencies could not be installed");
const skippedSuites = providePhp() ? [] : phpSuites();
if (!build(say)) fail("the build failed");
const ignored = skippedSuites.map((path) => `--testPathIgnorePatterns=/${path.replaceAll(".", "\\.")}$`);
const totals = runJest([...ignored, ...process.argv.slice(2)]);
for (const path of skippedSuites) say(`skipped, there is no php: ${path}`);
const skipped = totals.skipped + skippedSuites.length;
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(totals.failed > 0 ? 1 : 0);
