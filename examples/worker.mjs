/*
 * A worker in JavaScript.   Configuration: server: { command: "node worker.mjs" }
 */
import { consume } from "jobsd/worker";

const handlers = {
  "mail.send": async (job) => console.log(`mail to ${job.to}`), // console goes to stderr, stdout belongs to the protocol
};

for await (const task of consume()) {
  try {
    const handle = handlers[task.name];
    if (handle === undefined) throw new Error(`nobody handles ${task.name}`);
    await handle(JSON.parse(Buffer.from(task.payload)));
    task.ack();
  } catch (error) {
    // Run it again in 10 seconds.
    task.requeue(String(error), { delaySec: 10 });
  }
}
