import { execFileSync } from "node:child_process";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../src/adapters/goridge/frame.ts";
import { PushBatchRequestSchema } from "../../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
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

describe("answering", () => {
  test("[RPC-11] a fast call is answered before a slow one that came first", async () => {
    await started();
    const release = fixture.holdPushes();
    const peer = await fixture.connect();

    peer.send(request(proto, 7, "jobs.Push", pushBody("1")), request(json, 8, "rpc.Version", "true"));
    await peer.answered(1);
    release[0]?.();
    const answers = await peer.answered(2);

    expect(answers.map((answer) => [answer.id, answer.method, answer.flags, answer.body.toString()])).toEqual([
      [8, "rpc.Version", json, '"2025.1.9"'],
      [7, "jobs.Push", proto, ""],
    ]);
  });

  test("[RPC-14] two requests in flight with the same id get two answers", async () => {
    await started();
    const release = fixture.holdPushes();
    const peer = await fixture.connect();

    peer.send(request(proto, 7, "jobs.Push", pushBody("1")), request(json, 7, "jobs.Push", '{"job":{"id":"2"}}'));
    await eventually(() => release.length === 2);
    for (const done of release) done();
    const answers = await peer.answered(2);

    expect(answers.map((answer) => [answer.id, answer.flags])).toEqual([
      [7, proto],
      [7, json],
    ]);
  });

  test("a request behind a batch that takes several turns of the event loop is begun after it", async () => {
    await started();
    const jobs = Array.from({ length: 10_000 }, (_value, n) => ({
      id: `${n}`,
      job: "a",
      options: { pipeline: "mails" },
    }));
    const body = toBinary(PushBatchRequestSchema, create(PushBatchRequestSchema, { jobs }));
    const large = await fixture.connect();

    large.send(request(proto, 1, "jobs.PushBatch", body), request(proto, 2, "jobs.Push", pushBody("last")));
    await large.answered(2);

    expect(large.answers.map(({ id, flags }) => [id, flags])).toEqual([
      [1, proto],
      [2, proto],
    ]);
    expect(fixture.useCases.pushed.at(-1)?.id).toBe("last");
    expect(fixture.useCases.pushed).toHaveLength(10_001);
  });

  test("a large batch with a job that can not be read, or a number out of range, is refused whole", async () => {
    await started();
    const batch = (priority: bigint): Buffer => {
      const options = { pipeline: "mails" };
      const jobs = Array.from({ length: 5000 }, (_value, n) =>
        n === 4000 ? { id: `${n}`, options: { ...options, priority } } : { id: `${n}`, options },
      );
      return Buffer.from(toBinary(PushBatchRequestSchema, create(PushBatchRequestSchema, { jobs })));
    };
    const peer = await fixture.connect();

    peer.send(
      request(proto, 1, "jobs.PushBatch", batch(2n ** 60n)),
      request(proto, 2, "jobs.PushBatch", batch(1n).subarray(0, -3)),
    );
    const answers = await peer.answered(2);

    expect(answers.map((answer) => answer.body.toString())).toEqual([
      "rpc_push_batch: priority out of range (job 4001 of 5000, id 4000; 0 jobs were pushed)",
      "goridge_read_request_body: proto: cannot parse invalid wire-format data",
    ]);
    expect(fixture.useCases.pushed).toEqual([]);
  });

  test("[RPC-15] the smallest and the largest id come back", async () => {
    await started();
    const peer = await fixture.connect();

    peer.send(request(json, 0, "rpc.Version", "true"), request(json, 0xffff_ffff, "rpc.Version", "true"));
    const answers = await peer.answered(2);

    expect(answers.map((answer) => answer.id)).toEqual([0, 0xffff_ffff]);
  });

  test("[RPC-18] wrong requests get their text, and the connection goes on", async () => {
    await started();
    const peer = await fixture.connect();
    const invalidUtf8 = Buffer.from("0a060a0161120169", "hex");
    invalidUtf8[4] = 0xff;

    peer.send(
      request(json, 1, "nope.Push", "{}"),
      request(json, 2, "jobs.Nope", "{}"),
      request(json, 3, "jobs", "{}"),
      request(json, 4, "jobs.Push", '{"job":{"id":5}}'),
      request(proto, 5, "jobs.Push", Buffer.from("0aff", "hex")),
      request(proto, 6, "jobs.Push", invalidUtf8),
      request(json, 7, "jobs.List", "[]"),
    );
    const answers = await peer.answered(7);

    expect(answers.map((answer) => answer.body.toString())).toEqual([
      "rpc: can't find service nope.Push",
      "rpc: can't find method jobs.Nope",
      "rpc: service/method request ill-formed: jobs",
      "jobs.Push: field job.id: expected a string, got a number",
      "goridge_read_request_body: proto: cannot parse invalid wire-format data",
      "goridge_read_request_body: string field contains invalid UTF-8",
      '{"pipelines":["mails"]}',
    ]);
    expect(answers.map((answer) => answer.flags)).toEqual([
      json | error,
      json | error,
      json | error,
      json | error,
      proto | error,
      proto | error,
      json,
    ]);
    expect(fixture.logger.records.filter((record) => record.level !== "info" && record.level !== "debug")).toEqual([]);
  });

  test("[RPC-42] 10,000 pipelined pushes reach the use case in order", async () => {
    await started();
    const peer = await fixture.connect();
    const ids = Array.from({ length: 10_000 }, (_, index) => `job-${index}`);

    peer.send(...ids.map((id, index) => request(proto, index, "jobs.Push", pushBody(id))));
    const answers = await peer.answered(ids.length);

    expect(fixture.useCases.pushed.map((job) => job.id)).toEqual(ids);
    expect(answers.map((answer) => answer.id)).toEqual(ids.map((_, index) => index));
    expect(peer.chunks).toBeLessThan(1000);
  });

  test("a client that stops sending gets the answers of its running calls, then the connection ends", async () => {
    await started();
    const release = fixture.holdPushes();
    const peer = await fixture.connect();

    peer.send(request(proto, 1, "jobs.Push", pushBody("1")));
    peer.halfClose();
    await eventually(() => release.length === 1);
    release[0]?.();
    const answers = await peer.answered(1);
    await peer.closedByServer();

    expect(answers.map((answer) => answer.id)).toEqual([1]);
    await eventually(() => fixture.server.connections === 0);
  });

  test("a defect behind a method is logged with its stack and does not end the connection", async () => {
    await started();
    fixture.useCases.list.execute = () => {
      throw new TypeError("cannot read properties of undefined");
    };
    const peer = await fixture.connect();

    peer.send(request(json, 1, "jobs.List"), request(json, 2, "rpc.Version"));
    const answers = await peer.answered(2);

    expect(answers.map((answer) => answer.body.toString())).toEqual([
      "jobs.List: internal error of the daemon, see its log",
      '"2025.1.9"',
    ]);
    expect(fixture.logger.records.find((record) => record.level === "error")?.fields).toEqual({
      err: expect.objectContaining({ name: "TypeError" }),
      method: "jobs.List",
    });
  });
});

describe("clients that vanish", () => {
  test("[RPC-13] a PHP process that pushes and exits without reading: the job is pushed, nothing is logged above debug", async () => {
    await started();
    const address = fixture.server.phpDsn;
    const frame = request(proto, 1, "jobs.Push", pushBody("from-php")).toString("hex");

    execFileSync("php", ["-r", `fwrite(stream_socket_client("${address}"), hex2bin("${frame}"));`]);
    await eventually(() => fixture.useCases.pushed.length === 1);
    await eventually(() => fixture.server.connections === 0);

    expect(fixture.useCases.pushed.map((job) => job.id)).toEqual(["from-php"]);
    expect(fixture.logger.records.filter((record) => ["warn", "error"].includes(record.level))).toEqual([]);
  });

  test("[RPC-39] inside a request and before the answer: the push counts once, and nothing is logged above debug", async () => {
    await started();
    const release = fixture.holdPushes();
    const inside = await fixture.connect();
    const before = await fixture.connect();

    inside.send(request(proto, 1, "jobs.Push", pushBody("half")).subarray(0, 30));
    before.send(request(proto, 2, "jobs.Push", pushBody("whole")));
    await inside.sent();
    await eventually(() => release.length === 1);
    inside.destroy();
    before.destroy();
    await eventually(() => fixture.server.connections === 1);
    release[0]?.();
    await eventually(() => fixture.server.connections === 0);

    expect(fixture.useCases.pushed.map((job) => job.id)).toEqual(["whole"]);
    expect(fixture.logger.records.filter((record) => ["warn", "error"].includes(record.level))).toEqual([]);
  });

  test("a malformed frame behind a running call: the call is answered, then the connection ends", async () => {
    await started();
    const release = fixture.holdPushes();
    const peer = await fixture.connect();

    peer.send(request(proto, 7, "jobs.Push", pushBody("1")), Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await eventually(() => release.length === 1);
    release[0]?.();
    await peer.closedByServer();

    expect(peer.answers.map((answer) => answer.id)).toEqual([7]);
    expect(fixture.logger.records.find((record) => record.level === "warn")?.fields).toEqual({
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      reason: "checksum of the frame header is wrong",
      firstBytes: "GET / HTTP/1.1\\x0d\\x0a\\x0d\\x0a",
    });
  });

  test("a peer that was refused and does not close its side is cut off", async () => {
    await started();
    const peer = await fixture.connect();

    peer.send(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await peer.closedByServer();
    fixture.clock.advance(2000);

    await eventually(() => fixture.server.connections === 0);
    expect(fixture.clock.pendingTimers).toBeLessThanOrEqual(1);
  });
});
