// The brokers of a test run: which it needs, starting them, ending them. Built-in modules only.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { root } from "./prepare.mjs";

/** Kinds of brokers, by the names of our drivers. */
export const brokerKinds = ["amqp", "nats", "beanstalk", "kafka", "sqs"];

const script = join(root, "scripts", "brokers.sh");
const uses = /(?:describeWithBroker|describeWithPrivateBroker|sharedBroker|startPrivateBroker)\(\s*"(\w+)"/g;
const imports = /from "(\.{1,2}\/[^"]+\.ts)"/g;

/** Kinds `JOBSD_TEST_BROKERS` lists; undefined if it is not set. Throws if it lists what does not exist. */
export function listedKinds() {
  const list = process.env.JOBSD_TEST_BROKERS;
  if (list === undefined) return undefined;
  const kinds = list
    .split(",")
    .map((kind) => kind.trim())
    .filter((kind) => kind !== "" && kind !== "none");
  const unknown = kinds.filter((kind) => !brokerKinds.includes(kind));
  if (unknown.length > 0) {
    throw new Error(
      `JOBSD_TEST_BROKERS: there is no broker ${unknown.join(", ")} (there are: ${brokerKinds.join(", ")})`,
    );
  }
  return kinds;
}

/** Kinds a test file uses, itself or through the files of the test tree it imports. */
export function kindsOf(path, seen = new Map()) {
  if (seen.has(path)) return seen.get(path);
  const kinds = new Set();
  seen.set(path, kinds);
  if (!existsSync(path)) return kinds;
  const text = readFileSync(path, "utf8");
  for (const [, kind] of text.matchAll(uses)) kinds.add(kind);
  for (const [, name] of text.matchAll(imports)) {
    const imported = resolve(dirname(path), name);
    if (!imported.startsWith(join(root, "test"))) continue;
    for (const kind of kindsOf(imported, seen)) kinds.add(kind);
  }
  return kinds;
}

/**
 * Starts brokers of these kinds, except those of which the environment has an address, and puts their addresses into
 * the environment. `stop` ends them; should this process be killed, they end by themselves.
 */
export function startBrokers(kinds, say) {
  if (kinds.length === 0) return { missing: [], stop: () => undefined };
  const home = mkdtempSync(join(tmpdir(), "jobsd-brokers-"));
  const env = { ...process.env, BROKERS_DIR: home, BROKERS_OWNER: process.pid.toString() };
  const brokers = (...args) => spawnSync(script, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const address = (kind) => process.env[`JOBSD_TEST_${kind.toUpperCase()}`];
  const foreign = kinds.filter(address);
  for (const kind of foreign) say(`${kind}: as the environment says, ${new URL(withScheme(address(kind))).host}`);
  // Suites that start brokers of their own need the programs all the same, if they can be had.
  if (foreign.length > 0) brokers("install", ...foreign);
  const own = kinds.filter((kind) => !foreign.includes(kind));
  if (own.length > 0) say(`starting ${own.join(", ")}`);
  if (own.length > 0) process.stdout.write(brokers("start", ...own).stdout);
  for (const line of brokers("env", ...kinds).stdout.split("\n")) {
    const [, name, value] = /^export (\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined) process.env[name] = value.replaceAll("\\", "");
  }
  const stop = () => {
    brokers("wipe");
    rmSync(home, { recursive: true, force: true });
  };
  return { missing: kinds.filter((kind) => !address(kind)), stop };
}

/** Addresses without scheme (Kafka) as something URL understands; only the host is shown, never a password. */
function withScheme(address) {
  return address.includes("://") ? address : `tcp://${address.split(",")[0]}`;
}
