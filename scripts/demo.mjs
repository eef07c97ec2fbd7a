// npm run demo: installs and builds what is needed, then shows the daemon at work. --worker=php|node chooses.
import { join } from "node:path";
import { prepare, root, run } from "./lib/prepare.mjs";

prepare((text) => console.log(`[demo] ${text}`));
const demo = join(root, "dist", "examples", "demo", "demo.js");
process.exit(run(process.execPath, [demo, ...process.argv.slice(2)]) ? 0 : 1);
