import { describe, expect, test } from "@jest/globals";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  DeclareRequestSchema,
  PipelinesSchema,
  PushRequestSchema,
  StatsSchema,
} from "../../../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { messageShape } from "../../../../src/adapters/rpc/message-shape.ts";

const PUSH = messageShape(PushRequestSchema);

describe("reading JSON", () => {
  test("a job with everything it can have", () => {
    const message = PUSH.fromPlain({
      job: {
        job: "app.Job",
        id: "1",
        payload: "AP8=",
        headers: { k: { value: ["v", "w"] } },
        options: {
          priority: -3,
          pipeline: "mails",
          delay: 5,
          auto_ack: true,
          topic: "t",
          metadata: "m",
          offset: 7,
          partition: 2,
        },
      },
    });

    expect(message.job?.payload).toEqual(Buffer.from([0, 255]));
    expect(message.job?.headers["k"]?.value).toEqual(["v", "w"]);
    expect(message.job?.options).toMatchObject({
      priority: -3n,
      pipeline: "mails",
      delay: 5n,
      autoAck: true,
      topic: "t",
      metadata: "m",
      offset: 7n,
      partition: 2,
    });
  });

  test("keys in any letter case, unknown keys and nulls", () => {
    const message = PUSH.fromPlain({
      JOB: { Id: "1", Job: null, nonsense: [1], OPTIONS: { Auto_Ack: true, pipeline: null } },
    });

    expect(message.job).toMatchObject({ id: "1", job: "", options: { autoAck: true, pipeline: "" } });
  });

  test.each([[null], [[]], [{}]])("%j is an empty message", (value) => {
    expect(messageShape(PipelinesSchema).fromPlain(value).pipelines).toEqual([]);
    expect(PUSH.fromPlain({ job: value }).job?.id ?? "").toBe("");
  });

  test("empty PHP arrays stand for empty maps", () => {
    const message = PUSH.fromPlain({ job: { headers: [], options: [] } });

    expect(message.job?.headers).toEqual({});
    expect(message.job?.options?.pipeline).toBe("");
  });

  test("a key named like a property of objects is just a key", () => {
    const message = messageShape(DeclareRequestSchema).fromPlain(JSON.parse('{"pipeline":{"__proto__":"x"}}'));

    expect(Object.entries(message.pipeline)).toEqual([["__proto__", "x"]]);
  });

  test.each([
    ["a text", "expected an object, got a string"],
    [{ job: [1] }, "field job: expected an object, got a list"],
    [{ job: { id: 5 } }, "field job.id: expected a string, got a number"],
    [{ job: { payload: "?" } }, "field job.payload: expected a base64 string, got a string"],
    [{ job: { headers: { k: { value: "v" } } } }, "field job.headers.k.value: expected a list, got a string"],
    [{ job: { headers: { k: { value: [1] } } } }, "field job.headers.k.value[0]: expected a string, got a number"],
    [{ job: { options: { delay: "5" } } }, "field job.options.delay: expected an integer of 64 bits, got a string"],
    [{ job: { options: { delay: 1.5 } } }, "field job.options.delay: expected an integer of 64 bits, got a fraction"],
    [{ job: { options: { partition: 2 ** 31 } } }, "field job.options.partition: expected an integer of 32 bits"],
    [{ job: { options: { auto_ack: "yes" } } }, "field job.options.auto_ack: expected a boolean, got a string"],
  ])("%j is refused with the field and what was expected", (value, text) => {
    expect(() => PUSH.fromPlain(value)).toThrow(text);
  });
});

describe("writing JSON", () => {
  test("names in snake_case, 64-bit integers as exact numbers, empty fields left out", () => {
    const stats = create(StatsSchema, {
      stats: [{ pipeline: 'a"b', active: 9007199254740993n, ready: true, priority: 18446744073709551615n }, {}],
    });

    expect(messageShape(StatsSchema).toJson(stats)).toBe(
      '{"stats":[{"pipeline":"a\\"b","active":9007199254740993,"ready":true,"priority":18446744073709551615},{}]}',
    );
  });

  test("bytes as base64, maps as objects", () => {
    const push = create(PushRequestSchema, {
      job: { payload: Uint8Array.of(0, 255), headers: { k: { value: ["v"] } }, options: { autoAck: true } },
    });

    expect(PUSH.toJson(push)).toBe(
      '{"job":{"payload":"AP8=","headers":{"k":{"value":["v"]}},"options":{"auto_ack":true}}}',
    );
  });
});

describe("protobuf", () => {
  test("fields nobody knows are skipped, a header without value is an empty list", () => {
    const bytes = toBinary(PushRequestSchema, create(PushRequestSchema, { job: { id: "1" } }));
    // job { headers { key: "k" } }, then field 15 with the varint 1.
    const more = Buffer.concat([bytes, Buffer.from("0a0522030a016b7801", "hex")]);

    const message = PUSH.protobuf?.decode(more);

    expect(message?.job?.id).toBe("1");
    expect(message?.job?.headers["k"]?.value).toEqual([]);
    expect(message?.$unknown).toBeUndefined();
  });

  test.each([
    ["0aff", "proto: cannot parse invalid wire-format data"],
    ["7b226a6f62223a7b7d7d", "proto: cannot parse invalid wire-format data"],
    ["0a030a01ff", "string field contains invalid UTF-8"],
  ])("the bytes %s are refused with RoadRunner's text", (hex, text) => {
    expect(() => PUSH.protobuf?.decode(Buffer.from(hex, "hex"))).toThrow(text);
  });
});
