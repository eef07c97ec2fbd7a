import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { headers as newHeaders } from "nats";
import { describeWithBroker, uniqueName } from "../support/brokers.ts";
import { eventually, NatsPeer, pause } from "../support/nats-world.ts";
import { errorText, Scene, type SceneOptions } from "../support/scene.ts";

jest.setTimeout(180_000);

describeWithBroker("nats", "the daemon on NATS", ({ address }) => {
  let peer: NatsPeer;

  beforeAll(async () => {
    peer = await NatsPeer.connect(address);
  });

  afterAll(() => peer.close());

  const section = `nats: { addr: ${JSON.stringify(address)} }`;

  /** One pipeline `p` on a stream of its own. */
  function onNats(config = "", options: SceneOptions = {}): SceneOptions & { readonly stream: string } {
    const stream = uniqueName("e2e");
    const pipelines = `p: { driver: nats, config: { stream: ${stream}, subject: ${stream}.jobs, ${config} } }`;
    return { pipelines, more: section, ...options, stream };
  }

  test("[NATS-1] a pipeline of RoadRunner's configuration boots: stream and durable consumer exist, start and stop are told", async () => {
    const stream = uniqueName("boots");
    const config = `subject: "${stream}.*", stream: ${stream}, delete_after_ack: true, deliver_new: "true"`;
    const scene = await Scene.open({ pipelines: `p: { driver: nats, config: { ${config} } }`, more: section });
    try {
      expect(scene.daemon.logged("pipeline was started")).toHaveLength(1);
      expect((await peer.api.streams.info(stream)).config.subjects).toEqual([`${stream}.*`]);
      expect((await peer.api.consumers.info(stream, "rr-jobs-p")).config.durable_name).toBe("rr-jobs-p");
      expect(await scene.stat("p")).toMatchObject({ driver: "nats", queue: `${stream}.*`, ready: true });

      await scene.rpc.push({ pipeline: "p", id: "a", payload: "body", headers: { x: ["1"] } });

      const [run] = await scene.ran(1, "p");
      expect(run).toMatchObject({ id: "a", driver: "nats", bytes: 4 });
      expect(run?.headers).toEqual({ x: ["1"], "x-nats-subject": [`${stream}.*`] });
      expect(run?.keys).toEqual(["id", "job", "driver", "headers", "pipeline", "queue"]);
      await eventually("an empty stream", async () => (await peer.count(stream)) === 0);
      await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });
      expect(scene.daemon.logged("pipeline was stopped")).toHaveLength(1);
      expect(scene.daemon.logged("nats disconnected")).toHaveLength(1);
    } finally {
      await scene.close();
    }
  });

  test("[NATS-27] pausing and resuming twice answers as RoadRunner does", async () => {
    await Scene.with(onNats(), async (scene) => {
      expect(await errorText(scene.rpc.call("jobs.Resume", { pipelines: ["p"] }))).toContain(
        "nats listener is already in the active state",
      );
      await scene.rpc.call("jobs.Pause", { pipelines: ["p"] });
      expect(await errorText(scene.rpc.call("jobs.Pause", { pipelines: ["p"] }))).toContain(
        "no active listeners, nothing to pause",
      );
    });
  });

  test("[NATS-24] a pipeline is declared once; keys nobody knows do no harm", async () => {
    const stream = uniqueName("declared");
    const pipeline = { driver: "nats", name: "d", stream, subject: stream, prefetch: "-1", unknown_key: "1" };
    await Scene.with({ more: section }, async (scene) => {
      await scene.rpc.call("jobs.Declare", { pipeline });
      expect(await errorText(scene.rpc.call("jobs.Declare", { pipeline }))).toContain(
        "pipeline already exists, name: d, driver: nats",
      );
    });
  });

  test("a pipeline that is declared without a section nats is refused with RoadRunner's words", async () => {
    await Scene.with({}, async (scene) => {
      const pipeline = { driver: "nats", name: "d" };
      expect(await errorText(scene.rpc.call("jobs.Declare", { pipeline }))).toContain(
        "no global nats configuration, global configuration should contain NATS URL",
      );
    });
  });

  test("[NATS-11] three requeues are four starts; nothing is left in the stream", async () => {
    const options = onNats("delete_after_ack: true");
    await Scene.with(options, async (scene) => {
      await scene.pushScript("again", ["retry 3", "retry 3", "retry 3", "retry 3"]);
      const runs = await scene.ran(4, "p");
      expect(runs.map(({ id, headers }) => [id, headers["attempts"]?.[0]])).toEqual([
        ["again", undefined],
        ["again", "1"],
        ["again", "2"],
        ["again", "3"],
      ]);
      await eventually("an empty stream", async () => (await peer.count(options.stream)) === 0);
      expect(scene.daemon.logged("response handler error")).toEqual([]);
    });
  });

  test("[NATS-15] a job whose worker is killed runs again after 1 and 2 seconds", async () => {
    await Scene.with(onNats(), async (scene) => {
      await scene.pushScript("deadly", ["kill", "kill", "ack"]);
      const [first, second, third] = await scene.ran(3, "p");
      expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(890);
      expect((third?.atMs ?? 0) - (second?.atMs ?? 0)).toBeGreaterThanOrEqual(1790);
    });
  });

  test("[NATS-16] a job of three times ack_wait, and those behind it, run once", async () => {
    await Scene.with(onNats("ack_wait: 2"), async (scene) => {
      await scene.pushScript("long", ["sleep 6"]);
      for (let n = 0; n < 20; n++) await scene.pushScript(`short-${n}`, ["ack"]);
      await scene.ran(21, "p");
      await pause(2500);
      expect(scene.runs("p")).toHaveLength(21);
    });
  });

  test("[NATS-37] SIGTERM under load: what ended is acknowledged, the rest runs in the next daemon, nothing twice", async () => {
    const options = onNats("", { workers: 2 });
    const ids = Array.from({ length: 200 }, (_value, n) => `id-${n}`);
    const first = await Scene.open(options);
    let done: readonly string[];
    try {
      for (const id of ids) await first.pushScript(id, ["sleep 0.05"]);
      await first.ran(30, "p");
      expect((await first.daemon.stop()).code).toBe(0);
      done = first.runs("p").map(({ id }) => id);
    } finally {
      await first.close();
    }
    await Scene.with(options, async (second) => {
      await second.ran(ids.length - done.length, "p");
      await pause(1000);
      const rest = second.runs("p").map(({ id }) => id);
      expect([...done, ...rest].sort()).toEqual([...ids].sort());
      expect(done.length).toBeLessThan(ids.length);
    });
  });

  test("[JC-51] SIGKILL under load: every job runs at least once, twice only what was in hand", async () => {
    const options = onNats("ack_wait: 2", { workers: 2 });
    const ids = Array.from({ length: 150 }, (_value, n) => `id-${n}`);
    const first = await Scene.open(options);
    let done: readonly string[];
    try {
      for (const id of ids) await first.pushScript(id, ["sleep 0.02"]);
      await first.ran(30, "p");
      await first.daemon.kill();
      done = first.runs("p").map(({ id }) => id);
    } finally {
      await first.close();
    }
    await Scene.with(options, async (second) => {
      const all = (): readonly string[] => [...done, ...second.runs("p").map(({ id }) => id)];
      await eventually("every job", () => ids.every((id) => all().includes(id)));
      expect(all().length - ids.length).toBeLessThanOrEqual(20);
    });
  });

  test("a message of another producer is run with the names of its headers as they are", async () => {
    const options = onNats();
    await Scene.with(options, async (scene) => {
      const block = newHeaders();
      block.append("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
      await peer.js.publish(`${options.stream}.jobs`, '{"job":"a","id":"1","payload":null}', { headers: block });
      const [run] = await scene.ran(1, "p");
      expect(run?.headers["traceparent"]).toEqual(["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]);
    });
  });
});
