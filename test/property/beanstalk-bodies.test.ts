import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { BeanstalkCodec, type BeanstalkItem } from "../../src/adapters/beanstalk/beanstalk-message.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { GOB } from "../golden/beanstalk-golden.ts";

const MUTATIONS = 100_000;

const items: fc.Arbitrary<BeanstalkItem> = fc.record({
  job: fc.string({ unit: "grapheme" }),
  ident: fc.string({ unit: "grapheme" }),
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.option(
    fc
      .dictionary(fc.string({ unit: "grapheme" }), fc.array(fc.string({ unit: "grapheme" })))
      .map((headers) => toHeaders(Object.entries(headers))),
    { nil: undefined },
  ),
  options: fc.option(
    fc.record({
      priority: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => {
        const number = Number(value);
        return Number.isSafeInteger(number) ? number : value;
      }),
      pipeline: fc.string({ unit: "grapheme" }),
      delay: fc.nat(),
      autoAck: fc.boolean(),
      queue: fc.string({ unit: "grapheme" }),
    }),
    { nil: undefined },
  ),
});

/** Deterministic, so that a failure can be found again. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state;
  };
}

describe("bodies of jobs", () => {
  test("come out as they went in, whatever is in them", () => {
    const codec = new BeanstalkCodec();
    fc.assert(
      fc.property(items, (item) => {
        const read = codec.decode(codec.encode(item));

        expect({ ...read, payload: [...(read?.payload ?? [])] }).toEqual({ ...item, payload: [...item.payload] });
      }),
      { numRuns: 500 },
    );
  });

  test(`[BEAN-19] ${MUTATIONS} mutated bodies are each read or left alone, and none makes the reader grow`, () => {
    const codec = new BeanstalkCodec();
    const bodies = GOB.vectors.filter(({ hex }) => hex.length < 4000).map(({ hex }) => Buffer.from(hex, "hex"));
    const random = randoms(7);
    const before = process.memoryUsage().heapUsed;
    let read = 0;
    for (let n = 0; n < MUTATIONS; n++) {
      const source = bodies[random() % bodies.length] ?? Buffer.alloc(0);
      const body = Buffer.from(source.subarray(0, n % 3 === 0 ? random() % source.length : source.length));
      for (let changes = 1 + (random() % 3); changes > 0 && body.length > 0; changes--) {
        body[random() % body.length] = random() >>> 24;
      }
      const item = codec.decode(body);
      if (item === undefined) continue;
      read += 1;
      if (item.payload.length > body.length) throw new Error("a payload is longer than its body");
    }

    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(MUTATIONS);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 2 ** 20);
  }, 120_000);
});
