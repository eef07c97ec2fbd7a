// npm test: provides what the tests need, builds, runs Jest, and ends with one line of totals.
//
// Works on a bare clone with nothing but Node: uses built-in modules only. Further arguments go to Jest.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kindsOf, listedKinds, startBrokers } from "./lib/brokers.mjs";
import { build, installDependencies, root, run, works } from "./lib/prepare.mjs";

const jest = join(root, "node_modules", "jest", "bin", "jest.js");
const jestFlags = ["--experimental-vm-modules", "--disable-warning=ExperimentalWarning"];

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
  try {
    const succeeded = run(process.execPath, [...jestFlags, jest, "--json", `--outputFile=${report}`, ...args], {
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

/** Test files that a run with these arguments executes. */
function testFiles(args) {
  const listing = [...jestFlags, jest, "--listTests", ...args];
  const { stdout } = spawnSync(process.execPath, listing, { cwd: root, encoding: "utf8" });
  return (stdout ?? "").split("\n").filter((path) => path.endsWith(".test.ts"));
}

/** Starts the brokers the files need. Those that are missing count as failed, unless the user listed what is to run. */
function provideBrokers(files) {
  const users = new Map();
  for (const file of files) for (const kind of kindsOf(file)) users.set(kind, [...(users.get(kind) ?? []), file]);
  let listed;
  try {
    listed = listedKinds();
  } catch (error) {
    fail(error.message);
  }
  const wanted = [...users.keys()].filter((kind) => listed === undefined || listed.includes(kind));
  const { missing, stop } = startBrokers(wanted, say);
  process.on("exit", stop);
  const skipped = [...users.keys()].filter((kind) => !wanted.includes(kind) || missing.includes(kind));
  return { missing, skipped: skipped.flatMap((kind) => users.get(kind).map((file) => ({ kind, file }))) };
}

if (!installDependencies(say)) fail("dependencies could not be installed");
const args = process.argv.slice(2);
const skippedSuites = providePhp() ? [] : phpSuites();
if (!build(say)) fail("the build failed");
const ignored = skippedSuites.map((path) => `--testPathIgnorePatterns=/${path.replaceAll(".", "\\.")}$`);
const brokers = provideBrokers(testFiles([...ignored, ...args]));
const totals = runJest([...ignored, ...args]);
for (const path of skippedSuites) say(`skipped, there is no php: ${path}`);
for (const { kind, file } of brokers.skipped) say(`skipped, there is no ${kind} broker: ${file.slice(root.length)}`);
for (const kind of brokers.missing) {
  say(`failed: no ${kind} broker could be had (see above); JOBSD_TEST_BROKERS lists those that are to be used`);
}
const failed = totals.failed + brokers.missing.length;
const skipped = totals.skipped + skippedSuites.length;
console.log(`${totals.passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
