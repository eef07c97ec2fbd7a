/*
 * A process with a pool in it, for tests that kill such a process: `pool-daemon <JSON of pool options>`. Prints the pids
 * of its workers as JSON when they are ready, then stays.
 */
import { RealPool } from "./real-pool.ts";

const world = await RealPool.started(JSON.parse(process.argv[2] ?? "{}") as object);
process.stdout.write(`${JSON.stringify(world.pids)}\n`);
setInterval(() => undefined, 60_000);
