// npm test: provides what the tests need, builds, runs Jest, and ends with one line of totals.
//
// Works on a bare clone with nothing but Node: uses built-in modules only. Further arguments go to Jest.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stampFile = join(root, "node_modules", ".jobsd-lock");

function say(text) {
  console.log(`[test] ${text}`);
}

/** Runs a command in the clone, its output shown. True if it succeeded. */
function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], ...options }).status === 0;
}

function works(command, args) {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

function lockHash() {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}

/** Dependencies as the lockfile says; installed again only after the lockfile changed. */
function installDependencies() {
  const modules = join(root, "node_modules");
  if (existsSync(modules) && lstatSync(modules).isSymbolicLink()) return say("node_modules is a link, left as it is");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === lockHash()) return;
  say("installing dependencies (npm ci --ignore-scripts)");
  if (!run("npm", ["ci", "--ignore-scripts"])) fail("dependencies could not be installed");
  writeFileSync(stampFile, lockHash());
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

installDependencies();
const skippedSuites = providePhp() ? [] : phpSuites();
say("building");
if (!run(process.execPath, [join(root, "scripts", "build.mjs")])) fail("the build failed");
const ignored = skippedSuites.map((path) => `--testPathIgnorePatterns=/${path.replaceAll(".", "\\.")}$`);
const totals = runJest([...ignored, ...process.argv.slice(2)]);
for (const path of skippedSuites) say(`skipped, there is no php: ${path}`);
const skipped = totals.skipped + skippedSuites.length;
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(totals.failed > 0 ? 1 : 0);
