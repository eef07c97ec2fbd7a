import { expect, jest, test } from "@jest/globals";
import { encodeFrame, FLAGS } from "../../src/adapters/goridge/frame.ts";
import { RpcPeer } from "../support/rpc-peer.ts";
import { Scene } from "../support/scene.ts";

jest.setTimeout(60_000);

test("payloads, values of headers, malformed answers and secrets of the environment never reach the log", async () => {
  const options = {
    server: "env: { DATABASE_PASSWORD: canary-secret }",
    env: { INHERITED_TOKEN: "canary-inherited" },
    pipelines: "p: { driver: memory, policy: { max_attempts: 2, backoff: { initial: 50ms } } }",
  };
  await Scene.with(options, async (scene) => {
    const job = { payload: "canary-payload", headers: { token: ["canary-header"] } };
    const scripts: Readonly<Record<string, readonly string[]>> = {
      acked: ["ack"],
      failed: ['answer {"type":1,"data":{"message":"m"}}'],
      requeued: ['answer {"type":4,"data":{"headers":{"token":["canary-header-2"]}}}', "ack"],
      nacked: ['answer {"type":3,"data":{"message":"m"}}'],
      "error frame": ["error m", "ack"],
      crashed: ["exit 3"],
      killed: ["kill", "ack"],
      malformed: ["payload"],
      "malformed data": ['answer {"type":4,"data":{"headers":{"token":{"canary-answer":1}}}}'],
      "malformed type": ['answer {"type":"canary-answer"}'],
    };

    for (const [id, script] of Object.entries(scripts)) await scene.pushScript(id, script, job);
    await scene.rpc.push({ ...job, pipeline: "p", id: "delayed", delaySec: 3600 });
    await scene.rpc.push({ ...job, pipeline: "nope", id: "refused" }).catch(() => undefined);
    await scene.rpc.pushBatch([{ ...job, pipeline: "nope", id: "refused too" }]).catch(() => undefined);
    await scene.rpc.call("jobs.Push", { job: { payload: "canary-payload", headers: 1 } }).catch(() => undefined);
    await scene.rpc
      .call("jobs.Declare", { pipeline: { name: "x", driver: "memory", prefetch: "many" } })
      .catch(() => undefined);
    for (const bytes of brokenFrames("canary-payload")) await sendAlone(scene, bytes);
    await scene.rpc.call("rpc.Config", true);
    await scene.rpc.call("informer.Workers", "jobs");
    await scene.rpc.call("jobsd.PushBatch", {
      jobs: [{ id: "", payload: "Y2FuYXJ5", headers: { token: { value: ["canary"] } } }],
    });
    for (const id of ["nacked", "crashed", "malformed"]) await scene.logged("job was given up", 1, id);
    for (const id of ["requeued", "error frame", "killed"]) {
      await scene.logged("job was processed successfully", 1, id);
    }
    await scene.daemon.stop();

    const text = [...scene.daemon.output, ...scene.daemon.log.map((line) => JSON.stringify(line))].join("\n");
    expect(text).not.toMatch(/canary/i);
    expect(text).not.toContain(Buffer.from("canary").toString("base64").slice(0, 8));
    expect(text).not.toContain(Buffer.from("canary").toString("hex"));
    expect(scene.daemon.logged("job processing was started").length).toBeGreaterThan(Object.keys(scripts).length);
  });
});

/** Pushes whose frame is broken in the ways a connection is closed for, with the text in their payload. */
function brokenFrames(text: string): readonly Buffer[] {
  const name = Buffer.from("jobs.Push");
  const body = Buffer.from(JSON.stringify({ job: { id: "x", payload: text } }));
  const sound = (...options: readonly number[]): Buffer => encodeFrame(FLAGS.json, options, [name, body]);
  const checksum = sound(1, name.length);
  checksum[6] = (checksum[6] ?? 0) ^ 0xff;
  return [checksum, sound(1), sound(1, name.length, 3), sound(1, 9999), sound(1, name.length).subarray(0, -5)];
}

async function sendAlone(scene: Scene, bytes: Buffer): Promise<void> {
  const target = scene.daemon.rpcTarget;
  const peer = await RpcPeer.connect("path" in target ? `unix://${target.path}` : "");
  peer.send(bytes);
  peer.halfClose();
  await peer.closedByServer();
  peer.destroy();
}
