import { expect, jest, test } from "@jest/globals";
import { Scene } from "../support/scene.ts";

jest.setTimeout(60_000);

/** What a run from start over push and execution to stop says in RoadRunner, and what alerts match: logger, level, text. */
const MESSAGES = [
  ["jobs", "debug", "initializing driver"],
  ["jobs", "debug", "driver ready"],
  ["memory", "debug", "pipeline was started"],
  ["rpc", "debug", "plugin was started"],
  ["server", "debug", "worker is allocated"],
  ["jobs", "debug", "job was pushed successfully"],
  ["jobs", "debug", "job batch was pushed successfully"],
  ["jobs", "debug", "job processing was started"],
  ["jobs", "debug", "job was processed successfully"],
  ["jobs", "info", "job was re-queued"],
  ["memory", "debug", "pipeline was paused"],
  ["memory", "debug", "pipeline was resumed"],
  ["jobs", "debug", "waiting for pollers to be finished"],
  ["jobs", "debug", "------> job poller was stopped <------"],
  ["jobs", "debug", "exited from jobs pipeline processor"],
  ["server", "debug", "sending stop request to the worker"],
  ["server", "debug", "worker destroyed"],
  ["memory", "debug", "pipeline was stopped"],
] as const;

test("[CFG-81] a run from start to stop logs RoadRunner's messages, word by word, on its loggers and levels", async () => {
  await Scene.with({}, async (scene) => {
    await scene.pushScript("requeued", ['answer {"type":4,"data":{"message":"again"}}', "ack"]);
    await scene.rpc.pushBatch([{ pipeline: "p", id: "1" }]);
    await scene.logged("job was processed successfully", 2);
    await scene.rpc.call("jobs.Pause", { pipelines: ["p"] });
    await scene.rpc.call("jobs.Resume", { pipelines: ["p"] });
    await scene.rpc.push({ pipeline: "p", id: "2" });
    await scene.logged("job was processed successfully", 3);

    await scene.daemon.stop();

    const said = new Set(scene.daemon.log.map(({ logger, level, msg }) => `${logger} ${level} ${msg}`));
    expect(MESSAGES.map((message) => message.join(" ")).filter((message) => !said.has(message))).toEqual([]);
  });
});
