import fc from "fast-check";
import { describe, expect, test } from "@jest/globals";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import { JobFrames } from "../../src/adapters/php-pool/job-frames.ts";
import { readAnswer } from "../../src/adapters/php-pool/job-response.ts";
import { StderrLines } from "../../src/adapters/php-pool/stderr-lines.ts";
import { splitWords } from "../../src/infrastructure/config/command-words.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { FakeRelay } from "../support/fake-workers.ts";
import { aTask } from "../support/worker-tasks.ts";

const KINDS = ["ack", "unknown", "error", "nack", "requeue", "malformed"];
const text = fc.string({ unit: "binary" });
const drivers = fc.constantFrom("memory", "amqp", "sqs", "nats", "beanstalk", "kafka", "custom");

describe("what goes to workers and comes from them", () => {
  test("any job can be read back from its frame", () => {
    const frames = new JobFrames(1_000_000);
    const job = fc.record({ id: text, name: text, pipeline: text, payload: fc.uint8Array({ maxLength: 20_000 }) });
    const headers = fc.array(fc.tuple(text, fc.array(text, { maxLength: 3 })), { maxLength: 4 });

    fc.assert(
      fc.property(job, headers, drivers, fc.option(text, { nil: undefined }), (fields, entries, driver, queue) => {
        const relay = new FakeRelay();
        expect(frames.queue(aTask({ ...fields, headers: toHeaders(entries) }, { driver, queue }), relay, false).t).toBe(
          "queued",
        );
        frames.flush();

        const reader = new FrameReader({ maxPayloadBytes: 1_000_000 });
        reader.push(relay.sent[0] ?? Buffer.alloc(0));
        const frame = reader.next();
        const contextBytes = frame?.options[0] ?? 0;
        const context = JSON.parse(frame?.payload.toString("utf8", 0, contextBytes) ?? "") as Record<string, unknown>;
        expect(context).toMatchObject({ id: fields.id, job: fields.name, pipeline: fields.pipeline, driver });
        expect(context["queue"]).toBe(queue);
        expect(JSON.stringify(context["headers"])).toBe(JSON.stringify(Object.fromEntries(entries)));
        expect(frame?.payload.subarray(contextBytes).equals(fields.payload)).toBe(true);
      }),
    );
  });

  test("any bytes are an answer of some kind", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(KINDS).toContain(readAnswer(Buffer.from(bytes), 0, () => undefined).t);
      }),
    );
  });

  test("any JSON is an answer of some kind, with a delay that is a whole number of seconds", () => {
    const data = fc.record(
      { message: fc.jsonValue(), requeue: fc.jsonValue(), delay_seconds: fc.jsonValue(), headers: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const envelope = fc.record({
      type: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.jsonValue()),
      data: fc.oneof(data, fc.jsonValue()),
    });

    fc.assert(
      fc.property(fc.oneof(envelope, fc.jsonValue()), (value) => {
        const result = readAnswer(Buffer.from(JSON.stringify(value)), 0, () => undefined);

        expect(KINDS).toContain(result.t);
        if ("delayMs" in result) {
          expect(result.delayMs % 1000).toBe(0);
          expect(result.delayMs).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  test("lines of stderr do not depend on the chunks they come in", () => {
    const cuts = fc.array(fc.nat({ max: 300 }), { maxLength: 10 });
    const output = fc.array(fc.oneof(text, fc.constantFrom("\n", "\r\n", "é€😀")), { maxLength: 20 });

    fc.assert(
      fc.property(output, cuts, (parts, positions) => {
        const bytes = Buffer.from(parts.join(""));
        const whole = linesOf([bytes]);
        const borders = [0, ...positions.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];

        const pieces = borders.slice(1).map((end, index) => bytes.subarray(borders[index], end));

        expect(linesOf(pieces)).toEqual(whole);
      }),
    );
  });

  test("a command without quotes is split as RoadRunner does", () => {
    const word = fc.string({ minLength: 1 }).filter((candidate) => !/[\s"']/u.test(candidate));

    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.constantFrom(" ", "\t", "  \n "), (words, space) => {
        expect(splitWords(words.join(space))).toEqual(words);
      }),
    );
  });
});

function linesOf(chunks: readonly Buffer[]): readonly string[] {
  const lines: string[] = [];
  const stderr = new StderrLines((line) => lines.push(line));
  for (const chunk of chunks) stderr.push(chunk);
  stderr.end();
  return lines;
}
