import { describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { codecsOf } from "../../../../src/adapters/rpc/rpc-codecs.ts";
import { BOOLEAN, NOTHING, TEXT } from "../../../../src/adapters/rpc/shape.ts";

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

  test("a codec that is not served says so and which ones are", () => {
    expect(() => codecsOf(msgpack).request.decode(TEXT, EMPTY, "rpc.Version")).toThrow(
      "codec MSGPACK is not served, use one of: PROTO, JSON",
    );
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
