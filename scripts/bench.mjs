// npm run bench [name…] [-- --short]: installs and builds what is needed, then measures. Names: see test/bench/main.ts.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { startBrokers } from "./lib/brokers.mjs";
import { prepare, root, run } from "./lib/prepare.mjs";

const say = (text) => console.log(`[bench] ${text}`);
const args = process.argv.slice(2);
const names = args.filter((arg) => !arg.startsWith("--"));
// Brokers with a bench: test/bench/KIND-bench.ts, for the kinds brokers.sh knows.
const kinds = readdirSync(join(root, "scripts", "brokers"))
  .map((file) => file.replace(/\.sh$/, ""))
  .filter((kind) => readdirSync(join(root, "test", "bench")).includes(`${kind}-bench.ts`))
  .filter((kind) => names.length === 0 || names.includes(kind));

prepare(say);
const { stop } = startBrokers(kinds, say);
process.on("exit", stop);
const main = join(root, "dist", "test", "bench", "main.js");
process.exit(run(process.execPath, [main, ...args]) ? 0 : 1);
