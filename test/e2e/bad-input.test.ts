import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { encodeFrame, FLAGS } from "../../src/adapters/goridge/frame.ts";
import { headerCrc } from "../../src/adapters/goridge/header-crc.ts";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { errorText, gone, Scene, SCRIPT_WORKER, sceneConfig, workerPids } from "../support/scene.ts";
import { request, RpcPeer } from "../support/rpc-peer.ts";

jest.setTimeout(60_000);

describe("requests", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open({ transport: "tcp" });
  });
  afterAll(() => scene.close());

  const dsn = (): string => String(scene.daemon.logged("the RPC server is listening")[0]?.["phpDsn"]);

  test.each([
    ["an unknown pipeline", "jobs.Pause", { pipelines: ["nope"] }, "no such pipeline, requested: nope"],
    ["a Declare without a name", "jobs.Declare", { pipeline: { driver: "memory" } }, "pipeline name is empty"],
    ["a Declare without a driver", "jobs.Declare", { pipeline: { name: "x" } }, "no associated driver"],
    ["a Declare of what is there", "jobs.Declare", { pipeline: { name: "p", driver: "memory" } }, "already exists"],
    ["a Declare of an unknown driver", "jobs.Declare", { pipeline: { name: "x", driver: "zzz" } }, "driver: zzz"],
    [
      "a Declare with a bad option",
      "jobs.Declare",
      { pipeline: { name: "x", driver: "memory", prefetch: "many" } },
      "prefetch",
    ],
    [
      "a Declare with a bad policy",
      "jobs.Declare",
      { pipeline: { name: "x", driver: "memory", policy: '{"max_attempts": -1}' } },
      "policy.max_attempts",
    ],
    ["a Destroy of an unknown pipeline", "jobs.Destroy", { pipelines: ["nope"] }, "no such pipeline, requested: nope"],
    ["an unknown service", "nope.Push", {}, "nope.Push"],
    ["an unknown method", "jobs.Nope", {}, "jobs.Nope"],
    ["a job that is a text", "jobs.Push", { job: "text" }, "job"],
  ])("%s is refused with a text that names the cause, and changes nothing", async (_what, method, body, text) => {
    const message = await errorText(scene.rpc.call(method, body));

    expect(message).toContain(text);
    expect(await scene.list()).toEqual(["p"]);
  });

  test("an empty batch is no error", async () => {
    await expect(scene.rpc.pushBatch([])).resolves.toBeUndefined();
  });

  test("broken JSON and broken protobuf are answered on a connection that goes on", async () => {
    const peer = await RpcPeer.connect(dsn());

    peer.send(request(FLAGS.json, 1, "jobs.Push", "{broken"));
    peer.send(request(FLAGS.proto, 2, "jobs.Push", Buffer.from([0x0a, 0xff, 0xff, 0xff])));
    peer.send(request(FLAGS.json, 3, "jobs.List", "{}"));
    const answers = await peer.answered(3);
    peer.destroy();

    const byId = new Map(answers.map((answer) => [answer.id, answer]));
    expect((byId.get(1)?.flags ?? 0) & FLAGS.error).not.toBe(0);
    expect((byId.get(2)?.flags ?? 0) & FLAGS.error).not.toBe(0);
    expect(byId.get(3)?.body.toString()).toContain('"p"');
  });

  test.each([
    ["a wrong checksum", () => flipped(request(FLAGS.json, 1, "jobs.List", "{}"), 7)],
    ["a method longer than the frame", () => encodeFrame(FLAGS.json, [1, 5000], [Buffer.from("jobs.List")])],
    ["a frame without options", () => encodeFrame(FLAGS.json, [], [Buffer.from("jobs.List")])],
    ["text that is no frame", () => Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
  ])("%s costs that connection and no other", async (_what, bytes) => {
    const peer = await RpcPeer.connect(dsn());

    peer.send(bytes());
    await peer.closedByServer();

    peer.destroy();
    expect(await scene.list()).toEqual(["p"]);
  });

  test("a frame above the limit is answered with an error, and costs no other connection", async () => {
    const peer = await RpcPeer.connect(dsn());

    peer.send(header(FLAGS.json, 0xffff_ffff));
    const [answer] = await peer.answered(1);

    peer.destroy();
    expect(answer?.body.toString()).toContain("is above rpc.max_frame_size");
    expect(await scene.list()).toEqual(["p"]);
  });
});

describe("configurations", () => {
  /** Runs a daemon that is expected to end by itself. */
  async function refused(config: string): Promise<{ readonly daemon: DaemonProcess; readonly lines: string[] }> {
    const daemon = DaemonProcess.launch({ config });
    const exit = await daemon.stopped();
    expect(exit).toEqual({ code: 1, signal: null });
    expect(daemon.logged("the RPC server is listening").length + workerPids(daemon).length).toBe(0);
    return { daemon, lines: [...daemon.output] };
  }

  test("ten mistakes are told at once, each with its place, and nothing is started", async () => {
    const config = [
      `server: { command: ${JSON.stringify(SCRIPT_WORKER)} }`, // line 4
      "endure:",
      "  grace_period: soon", // 6
      "jobs:",
      "  pipeline_size: many", // 8
      "  timeout: -1", // 9
      "  pool:",
      "    num_workers: -1", // 11
      "    allocate_timeout: 60", // 12
      "    destroy_timeout: later", // 13
      "    supervisor: { exec_ttl: 1 week }", // 14
      "  pipelines:",
      "    a: { config: {} }", // 16
      "    b: { driver: memory, policy: { on_nack: explode } }", // 17
      "    c: { driver: memory, policy: { max_attempts: some } }", // 18
    ].join("\n");

    const { lines } = await refused(config);

    const places = lines.flatMap((line) => /\.rr\.yaml:(\d+):\d+: /.exec(line)?.[1] ?? []).map(Number);
    expect(places.sort((a, b) => a - b)).toEqual([6, 8, 9, 11, 12, 13, 14, 16, 17, 18]);
  });

  test("an unknown driver is refused with its place", async () => {
    const { lines } = await refused(sceneConfig({ pipelines: "p: { driver: rabbit }" }));

    expect(lines.join("\n")).toMatch(/\.rr\.yaml:7:\d+: .*rabbit/);
  });

  test("a bad option of the memory driver is refused with its place", async () => {
    const pipelines = "p: { driver: memory, config: { prefetch: plenty } }";

    const { lines } = await refused(sceneConfig({ pipelines }));

    expect(lines.join("\n")).toMatch(/\.rr\.yaml:7:\d+: .*prefetch/);
  });

  test("jobs without a worker command are refused", async () => {
    const { lines } = await refused("jobs: { pipelines: { p: { driver: memory } } }");

    expect(lines.join("\n")).toContain("server.command");
  });

  test("a file that does not exist is named", async () => {
    const daemon = DaemonProcess.launch({ config: sceneConfig({}), configPath: "missing.yaml" });

    const exit = await daemon.stopped();

    expect(exit).toEqual({ code: 1, signal: null });
    expect(daemon.output.join("\n")).toContain("missing.yaml");
  });

  test("[RPC-41] a second daemon on one address refuses to start, and the first goes on", async () => {
    await Scene.with({}, async (scene) => {
      const address = String(scene.daemon.logged("the RPC server is listening")[0]?.["phpDsn"]);
      const second = DaemonProcess.launch({ config: sceneConfig({}), listen: address });

      const exit = await second.stopped();
      await scene.rpc.push({ pipeline: "p", id: "1" });
      await scene.logged("job was processed successfully", 1, "1");
      const another = await scene.daemon.connect();
      const list = await another.call("jobs.List");
      another.close();

      expect(exit).toEqual({ code: 1, signal: null });
      expect(second.output.join("\n")).toContain(address.replace("unix://", ""));
      expect(list).toEqual({ pipelines: ["p"] });
      await gone(workerPids(second));
    });
  });
});

/** A copy with one byte changed. */
function flipped(bytes: Buffer, index: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[index] = (copy[index] ?? 0) ^ 0xff;
  return copy;
}

/** A header that announces a payload of that size. */
function header(flags: number, payloadBytes: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt8(0x15, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt32LE(payloadBytes, 2);
  bytes.writeUInt32LE(headerCrc(bytes, 0), 6);
  return bytes;
}
