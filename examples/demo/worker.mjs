// The demo's worker in JavaScript. A worker of yours imports from "jobsd/worker", see ../worker.mjs.
import { openSync, writeSync } from "node:fs";
import { consume } from "../../dist/workers/node/worker.js";

const journal = openSync(`${process.env.JOBSD_DEMO_DIR}/done-${process.pid}.log`, "a");

for await (const task of consume()) {
  const firstRun = task.headers["tries"] === undefined && task.headers["x-job-attempt"] === undefined;
  if (task.name === "demo.flaky" && firstRun) {
    // What an application does when something is not there yet: again in a second, with a header of its own.
    task.requeue("not yet", { delaySec: 1, headers: { tries: ["1"] } });
  } else if (task.name === "demo.broken" && task.headers["x-job-redriven"] === undefined) {
    // Given up and kept. When an operator retries it, its cause is gone.
    task.nack("this can not be done");
  } else if (task.name === "demo.crash" && firstRun) {
    process.exit(1); // the worker dies with the job in its hands
  } else {
    writeSync(journal, `${task.id}\n`);
    task.ack();
  }
}
