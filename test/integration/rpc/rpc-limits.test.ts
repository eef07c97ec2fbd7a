import { afterEach, describe, expect, test } from "@jest/globals";
import { FLAGS, writeFrameHeader } from "../../../src/adapters/goridge/frame.ts";
import type { RpcServerOptions } from "../../../src/adapters/rpc/rpc-server.ts";
import { eventually, pushBody, RpcFixture } from "../../support/rpc-fixture.ts";
import { request } from "../../support/rpc-peer.ts";

const { json, proto, error } = FLAGS;

let fixture: RpcFixture;

afterEach(async () => {
  await fixture.close();
});

async function started(options: Partial<RpcServerOptions> = {}): Promise<void> {
  fixture = new RpcFixture(options);
  await fixture.server.start();
}

describe("limits", () => {
  test("no more than max_inflight calls of a connection run at once, and all are answered", async () => {
    await started({ maxInflight: 3 });
    const release = fixture.holdPushes();
    const peer = await fixture.connect();

    peer.send(...Array.from({ length: 10 }, (_, id) => request(proto, id, "jobs.Push", pushBody(`${id}`))));
    await eventually(() => release.length === 3);
    for (let index = 0; index < 10; index++) {
      await eventually(() => release.length > index);
      expect(release.length).toBeLessThanOrEqual(index + 3);
      release[index]?.();
    }
    const answers = await peer.answered(10);

    expect(answers.map((answer) => answer.id)).toEqual(Array.from({ length: 10 }, (_, id) => id));
  });

  test("requests that wait behind the limit are served although the client has closed its side", async () => {
    await started({ maxInflight: 1 });
    const release = fixture.holdPushes();
    const peer = await fixture.connect();

    peer.send(request(proto, 1, "jobs.Push", pushBody("1")), request(proto, 2, "jobs.Push", pushBody("2")));
    peer.halfClose();
    await eventually(() => release.length === 1);
    release[0]?.();
    await eventually(() => release.length === 2);
    release[1]?.();
    const answers = await peer.answered(2);
    await peer.closedByServer();

    expect(answers.map((answer) => answer.id)).toEqual([1, 2]);
  });

  test("[RPC-7] a request above max_frame_size is answered with its id although the client is still sending", async () => {
    const maxFrameBytes = 1024 * 1024;
    await started({ maxFrameBytes });
    const peer = await fixture.connect();

    peer.send(request(proto, 99, "jobs.Push", Buffer.alloc(maxFrameBytes + 1)));
    const answers = await peer.answered(1);
    await peer.closedByServer();

    expect(answers.map((answer) => [answer.id, answer.flags, answer.method])).toEqual([[99, proto | error, ""]]);
    expect(answers[0]?.body.toString()).toBe(
      `request of ${maxFrameBytes + 1 + "jobs.Push".length} bytes is above rpc.max_frame_size (${maxFrameBytes} bytes)`,
    );
    expect(fixture.logger.messages("warn")).toHaveLength(1);
  });

  test("of a far too large request only four times the limit is read", async () => {
    const maxFrameBytes = 1024;
    await started({ maxFrameBytes });
    const peer = await fixture.connect();
    const header = Buffer.alloc(20);
    writeFrameHeader(header, 0, json, [5, 9], 1_000_000, 0);

    peer.send(header, Buffer.alloc(4 * maxFrameBytes));
    const answers = await peer.answered(1);
    await peer.closedByServer();

    expect(answers.map((answer) => answer.id)).toEqual([5]);
  });

  test("a request of exactly max_frame_size is served", async () => {
    const body = pushBody("1", new Uint8Array(1000));
    await started({ maxFrameBytes: body.length + "jobs.Push".length });
    const peer = await fixture.connect();

    peer.send(request(proto, 1, "jobs.Push", body));
    const answers = await peer.answered(1);

    expect(answers[0]?.flags).toBe(proto);
  });

  test("[RPC-6] a header that announces 4 GiB - 1 costs nothing and is closed when nothing follows", async () => {
    await started();
    const peer = await fixture.connect();
    const header = Buffer.alloc(20);
    writeFrameHeader(header, 0, proto, [1, 9], 0xffff_ffff, 0);
    const before = process.memoryUsage().arrayBuffers;

    peer.send(header);
    await peer.answered(1);
    const grownBytes = process.memoryUsage().arrayBuffers - before;
    fixture.clock.advance(59_000);
    const openBefore = peer.ended;
    fixture.clock.advance(2000);
    await peer.closedByServer();

    expect(grownBytes).toBeLessThan(1024 * 1024);
    expect(openBefore).toBe(false);
  });

  test("a payload that stops coming ends the connection after body_timeout, one that trickles does not", async () => {
    await started({ bodyTimeoutMs: 1000 });
    const frame = request(json, 1, "rpc.Version", "true");
    const peer = await fixture.connect();
    const stuck = await fixture.connect();

    stuck.send(frame.subarray(0, 22));
    for (let offset = 0; offset < frame.length; offset++) {
      peer.send(frame.subarray(offset, offset + 1));
      await peer.sent();
      if (offset >= 20) fixture.clock.advance(400);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const answers = await peer.answered(1);
    await stuck.closedByServer();

    expect(answers[0]?.body.toString()).toBe('"2025.1.9"');
    expect(fixture.logger.records.find((record) => record.level === "warn")?.fields["reason"]).toBe(
      "no progress for 1000 ms (payload)",
    );
  });

  test("a header has header_timeout in all, however it trickles", async () => {
    await started({ headerTimeoutMs: 1000 });
    const peer = await fixture.connect();

    for (const byte of request(json, 1, "rpc.Version", "true").subarray(0, 5)) {
      peer.send(Buffer.from([byte]));
      await peer.sent();
      await new Promise((resolve) => setImmediate(resolve));
      fixture.clock.advance(400);
    }
    await peer.closedByServer();

    expect(fixture.logger.records.find((record) => record.level === "warn")?.fields["reason"]).toBe(
      "no progress for 1000 ms (header)",
    );
  });

  test("an idle connection stays open however long it is idle", async () => {
    await started();
    const peer = await fixture.connect();
    peer.send(request(json, 1, "rpc.Version"));
    await peer.answered(1);

    fixture.clock.advance(3_600_000);
    peer.send(request(json, 2, "rpc.Version"));
    const answers = await peer.answered(2);

    expect(answers.map((answer) => answer.id)).toEqual([1, 2]);
  });

  test("a client that does not read its answers is not read any more, and goes on when it reads", async () => {
    await started();
    const name = "p".repeat(256 * 1024);
    fixture.useCases.pipelines = [name];
    let listed = 0;
    fixture.useCases.list.execute = () => {
      listed += 1;
      return fixture.useCases.pipelines;
    };
    const peer = await fixture.connect();

    peer.pause();
    for (let id = 0; id < 200; id++) peer.send(request(json, id, "jobs.List"));
    await peer.sent();
    const served = await stable(() => listed);
    peer.resume();
    const answers = await peer.answered(200);

    expect(served).toBeLessThan(100);
    expect(answers).toHaveLength(200);
  }, 60_000);

  test("connections above max_connections are closed and reported once", async () => {
    await started({ maxConnections: 1 });
    const first = await fixture.connect();
    first.send(request(json, 1, "rpc.Version"));
    await first.answered(1);

    const second = await fixture.connect();
    const third = await fixture.connect();
    await second.closedByServer();
    await third.closedByServer();
    first.send(request(json, 2, "rpc.Version"));
    const answers = await first.answered(2);

    expect(answers).toHaveLength(2);
    expect(fixture.logger.messages("warn")).toEqual(["RPC connections are refused: rpc.max_connections is reached"]);
  });
});

/** The value once it has not changed for a number of turns of the event loop. */
async function stable(read: () => number): Promise<number> {
  let last = read();
  for (let unchanged = 0; unchanged < 200; unchanged++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (read() !== last) unchanged = 0;
    last = read();
  }
  return last;
}
