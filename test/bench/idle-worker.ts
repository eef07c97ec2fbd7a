import { consume } from "../../workers/node/worker.ts";

// There must be a worker, and it gets nothing to do.
for await (const task of consume()) task.ack();
