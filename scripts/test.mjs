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

/** Runs Jest once. `files`: what became of each test file, by path; empty if Jest itself could not run. */
function runJest(args) {
  const directory = mkdtempSync(join(tmpdir(), "jobsd-test-"));
  const report = join(directory, "report.json");
  try {
    const succeeded = run(process.execPath, [...jestFlags, jest, "--json", `--outputFile=${report}`, ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const files = new Map();
    if (!existsSync(report)) return { succeeded: false, files };
    for (const { name, status, assertionResults } of JSON.parse(readFileSync(report, "utf8")).testResults) {
      const count = (...wanted) => assertionResults.filter((result) => wanted.includes(result.status)).length;
      const failed = count("failed");
      files.set(name, {
        passed: count("passed"),
        // A file that could not be run counts as one failure.
        failed: status === "failed" ? Math.max(failed, 1) : failed,
        skipped: count("pending", "todo", "skipped", "disabled"),
      });
    }
    return { succeeded, files };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs the tests. Files with a failure run once more, one after the other: real brokers and processes share the machine
 * with everything else on it, and what is wrong fails again. The summary names files that needed it.
 */
function runTests(args) {
  const first = runJest(args);
  const { files } = first;
  const again = [...files].filter(([, { failed }]) => failed > 0).map(([name]) => name);
  let { succeeded } = first;
  if (again.length > 0) {
    for (const name of again) say(`failed, and runs once more by itself: ${name.slice(root.length)}`);
    const second = runJest(["--runInBand", "--runTestsByPath", ...again]);
    for (const [name, result] of second.files) files.set(name, result);
    succeeded = second.succeeded;
  }
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const result of files.values()) for (const key of Object.keys(totals)) totals[key] += result[key];
  for (const name of again) if (files.get(name).failed === 0) say(`needed a second run: ${name.slice(root.length)}`);
  return { ...totals, failed: succeeded ? totals.failed : Math.max(totals.failed, 1) };
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
const totals = runTests([...ignored, ...args]);
for (const path of skippedSuites) say(`skipped, there is no php: ${path}`);
for (const { kind, file } of brokers.skipped) say(`skipped, there is no ${kind} broker: ${file.slice(root.length)}`);
for (const kind of brokers.missing) {
  say(`failed: no ${kind} broker could be had (see above); JOBSD_TEST_BROKERS lists those that are to be used`);
}
const failed = totals.failed + brokers.missing.length;
const skipped = totals.skipped + skippedSuites.length;
console.log(`${totals.passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(failed > 0 ? 1 : 0);
