import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../src/adapters/goridge/frame.ts";
import type { RpcServerOptions } from "../../../src/adapters/rpc/rpc-server.ts";
import { eventually, pushBody, RpcFixture } from "../../support/rpc-fixture.ts";
import { request } from "../../support/rpc-peer.ts";

const { json, proto } = FLAGS;

let fixture: RpcFixture;

afterEach(async () => {
  await fixture.close();
});

async function started(options: Partial<RpcServerOptions> = {}): Promise<void> {
  fixture = new RpcFixture(options);
  await fixture.server.start();
}

describe("stopping", () => {
  test("[RPC-38] a running call is answered, then its connection closes; idle ones close at once", async () => {
    await started();
    const release = fixture.holdPushes();
    const busy = await fixture.connect();
    const idle = await fixture.connect();
    idle.send(request(json, 1, "rpc.Version"));
    busy.send(request(proto, 2, "jobs.Push", pushBody("1")));
    await idle.answered(1);
    await eventually(() => release.length === 1);

    const stopped = fixture.server.stop(new AbortController().signal);
    await idle.closedByServer();
    const openBefore = busy.ended;
    release[0]?.();
    await busy.closedByServer();
    await stopped;

    expect(openBefore).toBe(false);
    expect(busy.answers.map((answer) => answer.id)).toEqual([2]);
    expect(fixture.server.connections).toBe(0);
    expect(fixture.clock.pendingTimers).toBe(0);
    await expect(fixture.connect()).rejects.toThrow("ECONNREFUSED");
  });

  test("calls that still run at the deadline are cut off", async () => {
    await started();
    const release = fixture.holdPushes();
    const deadline = new AbortController();
    const peer = await fixture.connect();
    peer.send(request(proto, 2, "jobs.Push", pushBody("1")));
    await eventually(() => release.length === 1);

    const stopped = fixture.server.stop(deadline.signal);
    const again = fixture.server.stop(deadline.signal);
    deadline.abort();
    await Promise.all([stopped, again]);
    await peer.closedByServer();
    release[0]?.();

    expect(peer.answers).toEqual([]);
  });

  test("a request that was not started is not started any more", async () => {
    await started({ maxInflight: 1 });
    const release = fixture.holdPushes();
    const peer = await fixture.connect();
    peer.send(request(proto, 1, "jobs.Push", pushBody("1")), request(proto, 2, "jobs.Push", pushBody("2")));
    await eventually(() => release.length === 1);

    const stopped = fixture.server.stop(new AbortController().signal);
    release[0]?.();
    await stopped;
    await peer.closedByServer();

    expect(peer.answers.map((answer) => answer.id)).toEqual([1]);
    expect(release).toHaveLength(1);
  });
});

describe("addresses", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "jobsd-rpc-"));
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test("[RPC-40] any interface: the DSN for PHP names the loopback address and the bound port", async () => {
    await started({ listen: "tcp://:0" });
    const peer = await fixture.connect();

    peer.send(request(json, 1, "rpc.Version"));
    await peer.answered(1);

    expect(fixture.server.phpDsn).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(fixture.logger.messages("warn")).toEqual(["the RPC has no authentication and is reachable from outside"]);
  });

  test("localhost is bound where PHP looks for it", async () => {
    await started({ listen: "tcp://localhost:0" });
    const port = fixture.server.phpDsn.split(":").at(-1) ?? "";

    const text = execFileSync("php", [
      "-r",
      `echo stream_socket_client("tcp://127.0.0.1:${port}") ? "connected" : "refused";`,
    ]);

    expect(text.toString()).toBe("connected");
  });

  test("[RPC-40] unix: an absolute path with the configured mode, removed at the end", async () => {
    const path = join(folder, "rpc.sock");
    await started({ listen: `unix://${path}`, socketMode: 0o600 });
    const peer = await fixture.connect();

    peer.send(request(json, 1, "rpc.Version"));
    await peer.answered(1);
    const mode = (await stat(path)).mode & 0o777;
    await fixture.server.stop(AbortSignal.abort());

    expect(fixture.server.phpDsn).toBe(`unix://${path}`);
    expect(mode).toBe(0o600);
    await expect(stat(path)).rejects.toThrow("ENOENT");
  });

  test("a unix socket left behind by a dead process is replaced", async () => {
    const path = join(folder, "rpc.sock");
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    expect(() => execFileSync(process.execPath, ["-e", script], { stdio: "ignore" })).toThrow();
    expect((await stat(path)).isSocket()).toBe(true);

    await started({ listen: `unix://${path}` });
    const peer = await fixture.connect();
    peer.send(request(json, 1, "rpc.Version"));

    expect(await peer.answered(1)).toHaveLength(1);
  });

  test("a path that is no socket is left alone", async () => {
    const path = join(folder, "precious.txt");
    await writeFile(path, "keep me");
    fixture = new RpcFixture({ listen: `unix://${path}` });

    await expect(fixture.server.start()).rejects.toThrow(`rpc.listen: ${path} exists and is no socket`);
    expect((await stat(path)).size).toBe(7);
  });

  test("[RPC-41] a second server on a unix socket refuses to start and the first is unaffected", async () => {
    const path = join(folder, "rpc.sock");
    await started({ listen: `unix://${path}` });
    const second = new RpcFixture({ listen: `unix://${path}` });

    await expect(second.server.start()).rejects.toThrow(`rpc.listen: another process listens on ${path}`);
    await second.close();
    const peer = await fixture.connect();
    peer.send(request(json, 1, "rpc.Version"));

    expect(await peer.answered(1)).toHaveLength(1);
  });

  test("[RPC-41] a second server on a port refuses to start and the first is unaffected", async () => {
    await started();
    const second = new RpcFixture({ listen: fixture.server.phpDsn });

    await expect(second.server.start()).rejects.toThrow("another process listens there");
    await second.close();
    const peer = await fixture.connect();
    peer.send(request(json, 1, "rpc.Version"));

    expect(await peer.answered(1)).toHaveLength(1);
  });

  test("a host that does not resolve is a clear error", async () => {
    fixture = new RpcFixture({ listen: "tcp://no-such-host.invalid:6001" });

    await expect(fixture.server.start()).rejects.toThrow("rpc.listen: host no-such-host.invalid does not resolve");
  });
});
