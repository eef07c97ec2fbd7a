import { describe, expect, test } from "@jest/globals";
import type { JobResult } from "../../../../src/domain/job-result.ts";
import { readAnswer } from "../../../../src/adapters/php-pool/job-response.ts";

function read(body: string, oddities: string[] = []): JobResult {
  return readAnswer(Buffer.from(body), 0, (message) => oddities.push(message));
}

const REQUEUE = { t: "requeue", message: "", delayMs: 0, headers: {} };
const NACK = { t: "nack", message: "", requeue: false, delayMs: 0 };
const ERROR = { t: "error", message: "", requeue: false, delayMs: 0, headers: {} };

describe("the answer of a worker", () => {
  test.each([
    ['{"type":0,"data":[]}', { t: "ack" }],
    ['{"type":2,"data":[]}', { t: "ack" }],
    ['{"type":2,"data":{} }', { t: "ack" }],
    ['{"type":2}', { t: "ack" }],
    ["{}", { t: "ack" }],
    ["null", { t: "ack" }],
    ["", { t: "ack" }],
    ['{"type":null}', { t: "ack" }],
    ['{"type":2,"data":"anything"}', { t: "ack" }],
    ['{"type":7}', { t: "unknown", type: 7 }],
    ['{"type":9,"data":[]}', { t: "unknown", type: 9 }],
    ['{"type":1}', ERROR],
    ['{"type":3}', NACK],
    ['{"type":4}', REQUEUE],
    ['{"type":4,"data":null}', REQUEUE],
    ['{"type":4,"data":{}}', REQUEUE],
    ['{"type":3,"data":[]}', NACK],
    ['{"type":3,"data":{"message":null,"requeue":null,"delay_seconds":null}}', NACK],
    ['{"type":"2"}', { t: "ack" }],
    ['{"type":3.0}', NACK],
    ['{"type":"4"}', REQUEUE],
    ['{"TYPE":3,"DATA":{"Requeue":true,"DELAY_seconds":7}}', { ...NACK, requeue: true, delayMs: 7000 }],
    ['{"type":3,"data":{"redelivery":true}}', { ...NACK, requeue: true }],
    ['{"type":3,"data":{"message":{"a":1}}}', { ...NACK, message: '{"a":1}' }],
  ])("[RPC-46] %s is understood", (body, result) => {
    expect(read(body)).toEqual(result);
  });

  test.each<[string, JobResult]>([
    [
      '{"type":1,"data":{"message":"broken","requeue":true,"delay_seconds":3,"headers":{"a":["1","2"]}}}',
      { t: "error", message: "broken", requeue: true, delayMs: 3000, headers: { a: ["1", "2"] } },
    ],
    [
      '{"type":3,"data":{"message":"no good","requeue":true,"delay_seconds":5,"headers":{"a":["1"]}}}',
      { t: "nack", message: "no good", requeue: true, delayMs: 5000 },
    ],
    [
      '{"type":4,"data":{"message":"later","delay_seconds":10,"headers":{"a":["1"]}}}',
      { t: "requeue", message: "later", delayMs: 10_000, headers: { a: ["1"] } },
    ],
  ])("[RPC-45] all fields of %s are read", (body, result) => {
    expect(read(body)).toEqual(result);
  });

  test.each([
    ["a string is a list of one", '{"a":"1"}', { a: ["1"] }],
    ["null is an empty list", '{"a":null}', { a: [] }],
    ["numbers and flags become text", '{"a":[1,true]}', { a: ["1", "true"] }],
    ["an empty list is no headers", "[]", {}],
    ["null is no headers", "null", {}],
    ["a list of maps is merged", '[{"a":["1"]},{"b":["2"],"a":["3"]}]', { a: ["3"], b: ["2"] }],
    ["any name is a name", '{"__proto__":["1"]}', JSON.parse('{"__proto__":["1"]}') as unknown],
  ])("headers: %s", (_, headers, expected) => {
    const result = read(`{"type":4,"data":{"headers":${headers}}}`);

    expect(JSON.stringify(result.t === "requeue" && result.headers)).toBe(JSON.stringify(expected));
  });

  test.each([
    ['"5"', 5000],
    ["1.5", 2000],
    ["0.001", 1000],
    ["0", 0],
  ])("[RPC-46] a delay of %s is understood, fractions are rounded up", (delay, delayMs) => {
    expect(read(`{"type":4,"data":{"delay_seconds":${delay}}}`)).toMatchObject({ delayMs });
  });

  test("a negative delay is taken as none, and told", () => {
    const oddities: string[] = [];

    const result = read('{"type":4,"data":{"delay_seconds":-5}}', oddities);

    expect(result).toMatchObject({ delayMs: 0 });
    expect(oddities).toEqual(["delay_seconds of the answer is negative, taken as 0"]);
  });

  test.each([
    ["not json", "not JSON"],
    ['{"type":2} x', "not JSON"],
    ["[]", "not a JSON object"],
    ['"2"', "not a JSON object"],
    ['{"type":-1}', '"type"'],
    ['{"type":2.5}', '"type"'],
    ['{"type":"ack"}', '"type"'],
    ['{"type":3,"data":"later"}', '"data"'],
    ['{"type":3,"data":[1]}', '"data"'],
    ['{"type":3,"data":{"requeue":"perhaps"}}', '"requeue"'],
    ['{"type":3,"data":{"delay_seconds":"soon"}}', '"delay_seconds"'],
    ['{"type":3,"data":{"delay_seconds":1e999}}', '"delay_seconds"'],
    ['{"type":4,"data":{"headers":"a"}}', '"headers"'],
    ['{"type":4,"data":{"headers":{"a":[{}]}}}', 'header "a"'],
  ])("%s is malformed, and says why", (body, reason) => {
    const result = read(body);

    expect(result).toMatchObject({ t: "malformed", message: expect.stringContaining(reason) });
    expect(result.t === "malformed" && Buffer.from(result.answer).toString()).toBe(body);
  });

  test("of a malformed answer 64 KiB are kept, in memory of their own", () => {
    const payload = Buffer.alloc(100_000, "x");

    const result = readAnswer(payload, 0, () => undefined);
    payload.fill("y");

    expect(result.t === "malformed" && Buffer.from(result.answer).equals(Buffer.alloc(65_536, "x"))).toBe(true);
  });

  test("the header before the body is skipped", () => {
    const result = readAnswer(Buffer.from('ctx{"type":4}'), 3, () => undefined);

    expect(result).toEqual(REQUEUE);
  });
});
