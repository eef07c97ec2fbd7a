/*
 * A process with a pool in it, for tests that kill such a process: `pool-daemon <JSON of pool options>`. Prints the pids
 * of its workers as JSON when they are ready. Each line it reads is the JSON of a job for one of them, with `bytes` for the
 * size of its payload; when the worker was given the job it prints `given`.
 */
import { createInterface } from "node:readline";
import { RealPool } from "./real-pool.ts";

const world = await RealPool.started(JSON.parse(process.argv[2] ?? "{}") as object);
process.stdout.write(`${JSON.stringify(world.pids)}\n`);
createInterface(process.stdin).on("line", (line) => {
  const { bytes = 0, ...job } = JSON.parse(line) as { readonly bytes?: number };
  void world.give({ ...job, payload: new Uint8Array(bytes) }).then(() => process.stdout.write("given\n"));
});
setInterval(() => undefined, 60_000);
