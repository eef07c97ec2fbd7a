import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { PackedJobs } from "../../src/adapters/memory/packed-jobs.ts";
import { LARGE_BLOCK_BYTES } from "../../src/adapters/memory/slab-store.ts";
import { type JobHeaders, NO_HEADERS, toHeaders } from "../../src/domain/job-headers.ts";
import { Job } from "../../src/domain/job.ts";

const text = fc.oneof(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme-ascii" }), fc.constant("\ud800 lone"));

const headers: fc.Arbitrary<JobHeaders> = fc.oneof(
  fc.constant(NO_HEADERS),
  fc
    .array(fc.tuple(fc.oneof(text, fc.constant("__proto__")), fc.array(text, { maxLength: 3 })), { maxLength: 4 })
    .map(toHeaders),
);

const payload = fc.oneof(
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 0, max: 255 }).map((byte) => new Uint8Array(LARGE_BLOCK_BYTES - 200).fill(byte)),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 0, max: 255 }).map((byte) => new Uint8Array(LARGE_BLOCK_BYTES * 2).fill(byte)),
  },
);

const job = fc
  .record({
    id: text,
    name: fc.oneof(fc.constantFrom("app.Mail", "app.Report"), text, fc.constant("n".repeat(300))),
    payload,
    headers,
    priority: fc.maxSafeInteger(),
    delaySec: fc.oneof(fc.constant(0), fc.maxSafeNat()),
    autoAck: fc.boolean(),
    kafka: fc.option(fc.record({ topic: text, metadata: text, offset: fc.maxSafeInteger(), partition: fc.integer() }), {
      nil: undefined,
    }),
  })
  .map((fields) => new Job({ ...fields, pipeline: "mails" }));

type Step =
  | { readonly t: "add"; readonly job: Job }
  | { readonly t: "remove"; readonly pick: number }
  | { readonly t: "headers"; readonly pick: number; readonly headers: JobHeaders };

const pick = fc.nat();
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ t: fc.constant("add" as const), job }) },
    { weight: 4, arbitrary: fc.record({ t: fc.constant("remove" as const), pick }) },
    { weight: 1, arbitrary: fc.record({ t: fc.constant("headers" as const), pick, headers }) },
  ),
  { maxLength: 120, size: "max" },
);

/** Does the steps with the packed jobs and with a plain map, which is the model. */
function run(all: readonly Step[], packed: PackedJobs): Map<number, Job> {
  const model = new Map<number, Job>();
  for (const step of all) {
    if (step.t === "add") {
      model.set(packed.add(step.job), step.job);
      continue;
    }
    const handle = [...model.keys()][model.size === 0 ? 0 : step.pick % model.size];
    const current = handle === undefined ? undefined : model.get(handle);
    if (handle === undefined || current === undefined) continue;
    if (step.t === "remove") {
      packed.remove(handle);
      model.delete(handle);
    } else {
      packed.replaceHeaders(handle, step.headers);
      model.set(handle, current.withHeaders(step.headers));
    }
  }
  return model;
}

/** Comparing large arrays with `toEqual` takes for ever. */
function withoutPayload(job: Job): Job {
  return new Job({
    id: job.id,
    name: job.name,
    pipeline: job.pipeline,
    payload: new Uint8Array(0),
    headers: job.headers,
    priority: job.priority,
    delaySec: job.delaySec,
    autoAck: job.autoAck,
    kafka: job.kafka,
  });
}

describe("PackedJobs", () => {
  test("gives back every job exactly as it was, whatever was added, changed and removed around it", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const packed = new PackedJobs("mails");

        const model = run(all, packed);

        expect(packed.size).toBe(model.size);
        for (const [handle, expected] of model) {
          const found = packed.read(handle);
          expect(Buffer.compare(found.payload, expected.payload)).toBe(0);
          expect(withoutPayload(found)).toEqual(withoutPayload(expected));
          expect(packed.priorityOf(handle)).toBe(expected.priority);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("costs nothing once everything was removed", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const packed = new PackedJobs("mails");

        for (const handle of run(all, packed).keys()) packed.remove(handle);

        expect(packed.bytes).toBe(0);
        expect(packed.heldBytes).toBeLessThanOrEqual(64 * 1024 + 2 * 256 * 8);
      }),
      { numRuns: 20 },
    );
  });
});
