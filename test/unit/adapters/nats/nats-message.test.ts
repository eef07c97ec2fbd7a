import { describe, expect, test } from "@jest/globals";
import { decodeMessage, encodeJob } from "../../../../src/adapters/nats/nats-message.ts";
import { aJob } from "../../../../src/testing/a-job.ts";

const OPTIONS = { priority: 5, pipeline: "mails", auto_ack: false, Queue: "" };
const ENVELOPE = { job: "app.Job", id: "1", payload: "eyJrIjoxfQ==", options: OPTIONS };

function decode(value: unknown): ReturnType<typeof decodeMessage> {
  return decodeMessage(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
}

describe("encodeJob", () => {
  test("writes the members in RoadRunner's order and leaves an empty pipeline out", () => {
    const job = aJob({ id: "1", name: "app.Job", pipeline: "", priority: 10, payload: Buffer.from('{"k":1}') });

    expect(encodeJob(job, "s").toString()).toBe(
      '{"job":"app.Job","id":"1","payload":"eyJrIjoxfQ==","options":{"priority":10,"auto_ack":false,"Queue":"s"}}',
    );
  });

  test("escapes what Go escapes and replaces half a character", () => {
    const text = encodeJob(aJob({ id: "a\u2028<b>&\n", name: "x\ud800y" }), "").toString();

    expect(text).toContain(String.raw`"id":"a\u2028\u003cb\u003e\u0026\n"`);
    expect(text).toContain('"job":"x\ufffdy"');
  });

  test("[NATS-4] a job is read again as it was written, by the rules of RoadRunner", () => {
    const payload = Uint8Array.from({ length: 256 }, (_, index) => index);
    const job = aJob({ id: "ид-\0-🙂", name: "App\\Prüfung<日本>\0", priority: -3, autoAck: true, payload });

    const read = decodeMessage(encodeJob(job, ""));

    expect(read).toMatchObject({ id: job.id, name: job.name, priority: -3, autoAck: true });
    expect(Buffer.from(read?.payload ?? [])).toEqual(Buffer.from(payload));
  });
});

describe("decodeMessage", () => {
  test.each([
    ["bytes that are no JSON", "foo-barrrrrr-bazzzzz"],
    ["a number", "5"],
    ["a text", '"text"'],
    ["an array", "[1,2]"],
    ["an object of somebody else", '{"foo":"bar"}'],
    ["null", "null"],
    ["JSON that breaks off", '{"job":"a","id":"1"'],
    ["something behind the JSON", `${JSON.stringify(ENVELOPE)} x`],
    ["a payload that is no base64", { ...ENVELOPE, payload: "%%%%" }],
    ["a payload without its padding", { ...ENVELOPE, payload: "eyJrIjoxfQ" }],
    ["a payload in the other alphabet", { ...ENVELOPE, payload: "_-_-" }],
    ["a payload that is a number", { ...ENVELOPE, payload: 5 }],
    ["options that are a number", { ...ENVELOPE, options: 5 }],
    ["options that are a list", { ...ENVELOPE, options: [] }],
    ["a priority with a fraction", { ...ENVELOPE, options: { ...OPTIONS, priority: 1.5 } }],
    ["a priority that is a text", { ...ENVELOPE, options: { ...OPTIONS, priority: "1" } }],
    ["an auto_ack that is a number", { ...ENVELOPE, options: { ...OPTIONS, auto_ack: 1 } }],
    ["a delay that is a text", { ...ENVELOPE, options: { ...OPTIONS, delay: "5" } }],
    ["no id", { ...ENVELOPE, id: "" }],
    ["an id that is a number", { ...ENVELOPE, id: 1 }],
    ["nothing", ""],
    ["zeros", "\0\0\0"],
  ])("[NATS-5] takes %s for a raw payload", (_what, value) => {
    expect(decode(value)).toBeUndefined();
  });

  test.each([
    ["lower case", '{"job":"a","id":"1","payload":"eA==","options":{"priority":3,"auto_ack":true,"queue":"q"}}'],
    ["upper case", '{"JOB":"a","ID":"1","PAYLOAD":"eA==","OPTIONS":{"PRIORITY":3,"AUTO_ACK":true,"QUEUE":"q"}}'],
    [
      "members it does not know",
      '{"v":{"a":[1]},"job":"a","id":"1","payload":"eA==","options":{"priority":3,"auto_ack":true,"x":1}}',
    ],
  ])("[NATS-6] accepts %s", (_what, text) => {
    expect(decode(text)).toMatchObject({ name: "a", id: "1", priority: 3, autoAck: true });
  });

  test("[NATS-3] null for payload and options, and absent ones, are empty", () => {
    const expected = { name: "a", id: "1", payload: new Uint8Array(0), priority: 0, autoAck: false };

    expect(decode('{"job":"a","id":"1","payload":null,"options":null}')).toEqual(expected);
    expect(decode('{"job":"a","id":"1"}')).toEqual(expected);
    expect(decode('{"job":"a","id":"1","options":{"priority":null,"auto_ack":null,"Queue":null}}')).toEqual(expected);
  });

  test("line ends in the payload are ignored", () => {
    expect(Buffer.from(decode({ ...ENVELOPE, payload: "eyJr\r\nIjox\nfQ==" })?.payload ?? []).toString()).toBe(
      '{"k":1}',
    );
  });

  test("a number of 64 bits keeps its order", () => {
    const text = JSON.stringify(ENVELOPE).replace("5,", "9223372036854775807,");

    expect(decode(text)?.priority).toBe(Number.MAX_SAFE_INTEGER);
  });
});
