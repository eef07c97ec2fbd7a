// npm run bench [name…] [-- --short]: installs and builds what is needed, then measures. Names: see test/bench/main.ts.
import { join } from "node:path";
import { prepare, root, run } from "./lib/prepare.mjs";

prepare((text) => console.log(`[bench] ${text}`));
const main = join(root, "dist", "test", "bench", "main.js");
process.exit(run(process.execPath, [main, ...process.argv.slice(2)]) ? 0 : 1);
