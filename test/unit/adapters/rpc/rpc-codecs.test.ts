import { describe, expect, test } from "@jest/globals";
import { create } from "@bufbuild/protobuf";
import { decode, encode } from "@msgpack/msgpack";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { codecsOf } from "../../../../src/adapters/rpc/rpc-codecs.ts";
import { messageShape } from "../../../../src/adapters/rpc/message-shape.ts";
import { BOOLEAN, BYTES, NOTHING, TEXT, TEXTS } from "../../../../src/adapters/rpc/shape.ts";
import { PipelinesSchema, PushRequestSchema, StatsSchema } from "../../../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";

const { proto, json, raw, msgpack, gob, control, error } = FLAGS;
const EMPTY = Buffer.alloc(0);

describe("codecsOf", () => {
  test.each([
    [proto | json | raw | msgpack | gob, proto, proto],
    [json | raw, json, json],
    [gob | raw, gob, raw],
    [raw | msgpack, raw, raw],
    [gob | msgpack, gob, msgpack],
    [json | control | error, json, json],
    [0, 0, gob],
  ])("flags %d: read with %d, answered with %d", (flags, read, answered) => {
    const codecs = codecsOf(flags);

    expect([codecs.request.bit, codecs.reply.bit]).toEqual([read, answered]);
  });

  test("without a codec bit an empty body is understood, any other is not", () => {
    const { request } = codecsOf(0);

    expect(request.decode(BOOLEAN, EMPTY, "rpc.Version")).toBe(false);
    expect(() => request.decode(BOOLEAN, Buffer.from("x"), "rpc.Version")).toThrow(
      "goridge_read_request_body: unknown decoder used in frame",
    );
  });
});

describe("PROTO", () => {
  const { request, reply } = codecsOf(proto);

  test("arguments and replies that are no message are refused, empty bodies included", () => {
    const text = "goridge_read_request_body: message type is not a proto";

    expect(() => request.decode(BOOLEAN, EMPTY, "rpc.Version")).toThrow(text);
    expect(() => {
      reply.check(TEXT, "rpc.Version");
    }).toThrow(text);
    expect(() => reply.encode(TEXT, "x")).toThrow(text);
  });

  test("a reply without content has no bytes", () => {
    expect(reply.encode(NOTHING, undefined)).toHaveLength(0);
  });
});

describe("JSON", () => {
  const { request, reply } = codecsOf(json);

  test("a reply always is a value", () => {
    expect(Buffer.from(reply.encode(NOTHING, undefined)).toString()).toBe("{}");
    expect(Buffer.from(reply.encode(BOOLEAN, false)).toString()).toBe("false");
    expect(Buffer.from(reply.encode(TEXT, 'ü"')).toString()).toBe('"ü\\""');
  });

  test.each([
    ["", false],
    ["null", false],
    ["true", true],
  ])("%j is read as %s", (body, value) => {
    expect(request.decode(BOOLEAN, Buffer.from(body), "rpc.Version")).toBe(value);
  });

  test("errors name the method", () => {
    expect(() => request.decode(BOOLEAN, Buffer.from("{"), "rpc.Version")).toThrow(
      "rpc.Version: the request body is not valid JSON: ",
    );
    expect(() => request.decode(BOOLEAN, Buffer.from('"x"'), "rpc.Version")).toThrow(
      "rpc.Version: expected a boolean, got a string",
    );
    expect(() => request.decode(TEXT, Buffer.from("[1]"), "app.Log")).toThrow("app.Log: expected a string, got a list");
  });
});

describe("JSON that is no UTF-8", () => {
  test("is refused instead of being changed", () => {
    const body = Buffer.from('{"job":{"id":"1","headers":{"k":{"value":["\xff"]}}}}', "latin1");

    expect(() => codecsOf(json).request.decode(messageShape(PushRequestSchema), body, "jobs.Push")).toThrow(
      "jobs.Push: the request body is not valid JSON: invalid UTF-8",
    );
  });
});

describe("RAW", () => {
  const { request, reply } = codecsOf(raw);

  test("what is sent is not looked at, as in the original", () => {
    expect(request.decode(TEXT, Buffer.from("jobs"), "informer.Workers")).toBe("");
  });

  test("bytes go out as they are, anything else as JSON", () => {
    expect(Buffer.from(reply.encode(BYTES, Buffer.from("{}"))).toString()).toBe("{}");
    expect(Buffer.from(reply.encode(TEXTS, ["a", "b"])).toString()).toBe('["a","b"]');
  });
});

describe("MSGPACK", () => {
  const { request, reply } = codecsOf(msgpack);
  const push = messageShape(PushRequestSchema);
  const read = (value: unknown) => request.decode(push, Buffer.from(encode(value, { useBigInt64: true })), "jobs.Push");

  test.each([
    ["Go", { Job: { Job: "a", Id: "1", Payload: Buffer.from([255]), Options: { AutoAck: true, Priority: 3n } } }],
    [
      "snake case",
      { job: { job: "a", id: "1", payload: Buffer.from([255]), options: { auto_ack: true, priority: 3 } } },
    ],
    [
      "lower case",
      { job: { job: "a", id: "1", payload: Buffer.from([255]), options: { autoack: true, priority: 3 } } },
    ],
  ])("a job with keys in the spelling of %s", (_spelling, value) => {
    expect(read(value).job).toMatchObject({
      job: "a",
      id: "1",
      payload: Uint8Array.of(255),
      options: { autoAck: true, priority: 3n },
    });
  });

  test("a payload that PHP sends as a text keeps its bytes", () => {
    // fixmap { "job": fixmap { "id": "1", "payload": str8 of two bytes that are no UTF-8 } }
    const body = Buffer.from("81a36a6f6282a26964a131a77061796c6f6164d902fffe", "hex");

    expect(request.decode(push, body, "jobs.Push").job?.payload).toEqual(Uint8Array.of(0xff, 0xfe));
  });

  test("a text that is no UTF-8 is refused with its field", () => {
    const body = Buffer.from("81a36a6f6281a26964d902fffe", "hex");

    expect(() => request.decode(push, body, "jobs.Push")).toThrow("jobs.Push: field job.id: invalid UTF-8");
  });

  test("an empty body is the zero value, a PHP array an empty message", () => {
    expect(request.decode(TEXT, EMPTY, "rpc.Version")).toBe("");
    expect(request.decode(messageShape(PipelinesSchema), Buffer.from([0x90]), "jobs.List").pipelines).toEqual([]);
  });

  test.each([
    ["dd7fffffff", "a list that announces two thousand million items"],
    ["df7fffffff", "a map of as many"],
    ["c6ffffffff00", "bytes that are not there"],
    ["dd0000000add0000000add0000000a", "lists inside lists"],
    ["91", "a list without its item"],
    ["c1", "a type there is none of"],
    ["c0c0", "two values"],
    ["dc00", "half a length"],
    ["81c000", "a key that is no text"],
  ])("%s: %s is refused before it costs memory", (hex) => {
    expect(() => request.decode(TEXT, Buffer.from(hex, "hex"), "app.Log")).toThrow(
      "app.Log: the request body is not valid MessagePack: ",
    );
  });

  test("replies have Go's names and wide integers, every field", () => {
    const stats = create(StatsSchema, { stats: [{ pipeline: "p", active: 9007199254740993n, ready: true }] });

    const reading = decode(reply.encode(messageShape(StatsSchema), stats), { useBigInt64: true });

    expect(reading).toEqual({
      Stats: [
        {
          Pipeline: "p",
          Driver: "",
          Queue: "",
          Active: 9007199254740993n,
          Delayed: 0n,
          Reserved: 0n,
          Ready: true,
          Priority: 0n,
        },
      ],
    });
    expect(Buffer.from(reply.encode(NOTHING, undefined)).toString("hex")).toBe("80");
  });
});

describe("GOB", () => {
  const { request, reply } = codecsOf(gob);

  test("booleans and texts are read and written as the rr command line does it", () => {
    expect(request.decode(BOOLEAN, Buffer.from("03020001", "hex"), "informer.List")).toBe(true);
    expect(request.decode(TEXT, Buffer.from("070c00046a6f6273", "hex"), "informer.Workers")).toBe("jobs");
    expect(Buffer.from(reply.encode(BOOLEAN, false)).toString("hex")).toBe("03020000");
    expect(Buffer.from(reply.encode(TEXT, "2025.1.9")).toString("hex")).toBe("0b0c0008323032352e312e39");
  });

  test.each([
    ["03", "gob: "],
    ["0702", "gob: "],
    ["03020001", "informer.Workers: expected a string, got a boolean"],
    ["ff", "gob: "],
  ])("%s is refused", (hex, text) => {
    expect(() => request.decode(TEXT, Buffer.from(hex, "hex"), "informer.Workers")).toThrow(text);
  });

  test("messages are refused before the method is called", () => {
    const text = "jobs.Push is not served in GOB, use PROTO, JSON or MSGPACK";

    expect(() => request.decode(messageShape(PushRequestSchema), EMPTY, "jobs.Push")).toThrow(text);
    expect(() => {
      reply.check(NOTHING, "jobs.Push");
    }).toThrow(text);
  });
});
