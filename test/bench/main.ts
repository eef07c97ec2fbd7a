import { spawnSync } from "node:child_process";
import { measureBroker } from "./broker-bench.ts";
import { BROKER_BENCHES } from "./brokers.ts";
import { drain } from "./drain-bench.ts";
import { type Figure, table } from "./figures.ts";
import { life } from "./life-bench.ts";
import { million } from "./million-bench.ts";
import { pipelinedPush, pushBatch, singlePush } from "./push-bench.ts";
import { queueCost } from "./queue-bench.ts";

/*
 * npm run bench [name…] [-- --short]
 *
 * Every figure is measured in the same run as its yardstick: what the same work costs without us. Machines differ and
 * are noisy; ratios are what counts. --short proves that everything runs and says nothing about speed.
 */

interface Bench {
  readonly name: string;
  readonly needsPhp: boolean;
  /** Kind of the broker it needs. */
  readonly broker?: string;
  run(short: boolean): Promise<readonly Figure[]> | readonly Figure[];
}

const BENCHES: readonly Bench[] = [
  { name: "drain", needsPhp: true, run: (short) => (short ? drain(1, 4000) : drain(5, 100_000)) },
  { name: "push", needsPhp: false, run: (short) => (short ? singlePush(1, 500) : singlePush(7, 5000)) },
  { name: "pipelined", needsPhp: false, run: (short) => (short ? pipelinedPush(1, 500) : pipelinedPush(7, 10_000)) },
  {
    name: "queue",
    needsPhp: false,
    run: (short) => (short ? queueCost(1, [10_000], 10_000) : queueCost(5, [1_000_000, 10_000_000], 2_000_000)),
  },
  { name: "batch", needsPhp: false, run: (short) => (short ? pushBatch(1, 10) : pushBatch(7, 100)) },
  { name: "life", needsPhp: true, run: (short) => life(short ? 1 : 7) },
  { name: "million", needsPhp: false, run: (short) => (short ? million(1, 10_000, 1000) : million(1, 1_000_000)) },
  ...BROKER_BENCHES.map((bench): Bench => {
    const { kind } = bench;
    const run = (short: boolean): Promise<readonly Figure[]> => measureBroker(bench, addressOf(kind), short);
    return { name: kind, needsPhp: true, broker: kind, run };
  }),
];

/** Set by scripts/bench.mjs, or by whoever has a broker; empty if there is none. */
function addressOf(kind: string): string {
  return process.env[`JOBSD_TEST_${kind.toUpperCase()}`] ?? "";
}

const args = process.argv.slice(2);
const short = args.includes("--short");
const names = args.filter((arg) => !arg.startsWith("--"));
const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(", ")}; there are ${BENCHES.map((bench) => bench.name).join(", ")}`);
  process.exit(1);
}

const php = spawnSync("php", ["-v"], { stdio: "ignore" }).status === 0;
const figures: Figure[] = [];
for (const bench of BENCHES) {
  if (names.length > 0 && !names.includes(bench.name)) continue;
  if (bench.needsPhp && !php) {
    console.log(`${bench.name}: left out, there is no php`);
    continue;
  }
  if (bench.broker !== undefined && addressOf(bench.broker) === "") {
    console.log(`${bench.name}: left out, there is no broker for it`);
    continue;
  }
  console.log(`${bench.name} …`);
  figures.push(...(await bench.run(short)));
}
console.log(`\n${table(figures)}\n`);
if (short) console.log("short run: it shows that everything works, the figures mean nothing");
