import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  type Job as JobMessage,
  JobSchema,
  PushBatchRequestSchema,
  PushRequestSchema,
} from "../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { toJob } from "../../src/adapters/rpc/job-proto.ts";
import { BatchReader, readPushRequest } from "../../src/adapters/rpc/job-reader.ts";
import { Job } from "../../src/domain/job.ts";

/** protobuf-es drops a byte order mark at the start of a text, Go and we keep it. */
const text = fc.oneof(fc.string(), fc.string({ unit: "grapheme" })).filter((value) => !value.startsWith("\ufeff"));
const bytes = fc.uint8Array({ maxLength: 300 });
const integer = fc.oneof(fc.bigInt({ min: 0n, max: 1000n }), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));
const options = fc.record({
  priority: integer,
  pipeline: text,
  delay: integer,
  autoAck: fc.boolean(),
  topic: text,
  metadata: text,
  offset: integer,
  partition: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
});
const job = fc
  .record({
    job: text,
    id: text,
    payload: bytes,
    headers: fc.dictionary(text, fc.record({ value: fc.array(text, { maxLength: 4 }) }), { maxKeys: 4 }),
    options: fc.option(options, { nil: undefined }),
  })
  .map(({ options: chosen, ...fields }) =>
    create(JobSchema, chosen === undefined ? fields : { ...fields, options: chosen }),
  );

/** What protobuf-es makes of it; the error if it refuses. */
function reference(message: () => JobMessage | undefined): unknown {
  try {
    const read = message();
    return read === undefined ? "none" : plain(toJob(read));
  } catch {
    return "refused";
  }
}

function plain(read: Job): object {
  const fields = Object.fromEntries(Object.entries(read));
  return { ...fields, payload: Buffer.from(read.payload).toString("hex"), headers: Object.entries(read.headers) };
}

/** Bytes with some of them changed, taken out or put in. */
function mutated(source: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  const edit = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom("set", "cut", "put"),
    byte: fc.integer({ min: 0, max: 255 }),
  });
  return fc.tuple(source, fc.array(edit, { minLength: 1, maxLength: 4 })).map(([start, edits]) => {
    let result = Buffer.from(start);
    for (const { at, kind, byte } of edits) {
      const place = result.length === 0 ? 0 : at % result.length;
      const rest = result.subarray(kind === "put" ? place : place + 1);
      result = Buffer.concat([result.subarray(0, place), Buffer.from(kind === "cut" ? [] : [byte]), rest]);
    }
    return result;
  });
}

const requestBytes = job.map((value) => toBinary(PushRequestSchema, create(PushRequestSchema, { job: value })));

test("a PushRequest read by hand is the one protobuf-es reads, or is left to it", () => {
  let byHand = 0;
  fc.assert(
    fc.property(requestBytes, (body) => {
      const read = readPushRequest(Buffer.from(body));
      if (read === undefined) return;
      byHand += 1;
      expect(plain(read)).toEqual(reference(() => fromBinary(PushRequestSchema, body).job));
    }),
    { numRuns: 1000 },
  );
  expect(byHand).toBeGreaterThan(50);
});

test("so it is with broken ones: nothing is read that protobuf-es refuses or reads in another way", () => {
  fc.assert(
    fc.property(mutated(requestBytes), (body) => {
      const read = readPushRequest(body);
      if (read === undefined) return;
      expect(plain(read)).toEqual(reference(() => fromBinary(PushRequestSchema, body).job));
    }),
    { numRuns: 3000 },
  );
});

const batchBytes = fc
  .array(job, { maxLength: 5 })
  .map((jobs) => toBinary(PushBatchRequestSchema, create(PushBatchRequestSchema, { jobs })));

test("jobs of a batch come one by one, and those that are not plain as bytes that protobuf-es reads", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        batchBytes.map((source) => Buffer.from(source)),
        mutated(batchBytes),
      ),
      (body) => {
        const reader = new BatchReader(body);
        const jobs: unknown[] = [];
        while (!reader.done) {
          const rest = reader.countRest();
          const next = reader.next();
          if (next === undefined) return;
          expect(reader.countRest()).toBe(rest - 1);
          jobs.push(next instanceof Job ? plain(next) : reference(() => fromBinary(JobSchema, next)));
        }
        if (jobs.includes("refused")) return;
        const messages = fromBinary(PushBatchRequestSchema, body).jobs;
        expect(jobs).toEqual(messages.map((message) => plain(toJob(message))));
      },
    ),
    { numRuns: 2000 },
  );
});

test("what PHP sends is read by hand", () => {
  const message = create(JobSchema, {
    job: "app.Job",
    id: "00000000-0000-4000-8000-000000000001",
    payload: Buffer.from('{"k":1}'),
    headers: { "X-Ключ": { value: ["é", "2"] }, empty: {} },
    options: { priority: 3n, pipeline: "mails", delay: 60n, autoAck: true, topic: "t", offset: 5n, partition: 2 },
  });
  const body = Buffer.from(toBinary(PushRequestSchema, create(PushRequestSchema, { job: message })));

  const read = readPushRequest(body);

  expect(read).toBeInstanceOf(Job);
  expect(read).toMatchObject({ priority: 3, pipeline: "mails", delaySec: 60, autoAck: true });
  expect(read?.headers["X-Ключ"]).toEqual(["é", "2"]);
  expect(read?.headers["empty"]).toEqual([]);
  expect(read?.kafka).toEqual({ topic: "t", metadata: "", offset: 5, partition: 2 });
});
