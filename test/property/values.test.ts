import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { backoffMs } from "../../src/domain/backoff.ts";
import { parseDurationMs } from "../../src/domain/duration.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

test("a duration is the sum of its parts", () => {
  const part = fc.tuple(fc.nat(10_000), fc.constantFrom("ms", "s", "m", "h", "d"));

  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.constantFrom("", "+", "-"), (parts, sign) => {
      const text = sign + parts.map(([amount, unit]) => `${amount}${unit}`).join("");
      const sum = parts.reduce((total, [amount, unit]) => total + amount * UNITS[unit], 0);

      const parsed = parseDurationMs(text);

      expect(parsed).toBe(sign === "-" && sum > 0 ? -sum : sum);
    }),
  );
});

test("any text is a finite duration or none, and never an exception", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: fc.constantFrom("0", "1", "9", ".", "-", "+", "m", "s", "h", "µ", " ") }),
  );

  fc.assert(
    fc.property(text, (anything) => {
      const parsed = parseDurationMs(anything);

      expect(parsed === undefined || Number.isFinite(parsed)).toBe(true);
    }),
  );
});

const backoff = fc.record({
  initialMs: fc.integer({ min: 0, max: 1_000_000 }),
  factor: fc.double({ min: 1, max: 100, noNaN: true }),
  maxMs: fc.integer({ min: 0, max: 10_000_000 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const failures = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));

test("the back-off is never negative and never above its maximum and the jitter", () => {
  fc.assert(
    fc.property(
      backoff,
      failures,
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (policy, count, random) => {
        const delayMs = backoffMs(policy, count, random);

        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(Math.round(policy.maxMs * (1 + policy.jitter)));
        expect(Number.isInteger(delayMs)).toBe(true);
      },
    ),
  );
});

test("without jitter the back-off never gets shorter from failure to failure", () => {
  fc.assert(
    fc.property(backoff, fc.integer({ min: 1, max: 2000 }), (policy, count) => {
      const steady = { ...policy, jitter: 0 };

      expect(backoffMs(steady, count + 1, 0)).toBeGreaterThanOrEqual(backoffMs(steady, count, 0));
    }),
  );
});

test("a number means the same whether it is written as a number or as its text", () => {
  const number = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ min: -1e15, max: 1e15, noNaN: true }));

  fc.assert(
    fc.property(number, (value) => {
      const [yaml, declared] = [value, value.toString()].map((x) => new PipelineSettings({ x }));

      expect(declared?.string("x", "")).toBe(yaml?.string("x", ""));
      expect(declared?.bool("x", false)).toBe(yaml?.bool("x", false));
      expect((declared?.int("x", 0) ?? NaN) + 0).toBe((yaml?.int("x", 0) ?? NaN) + 0);
      expect(declared?.list("x")).toEqual(yaml?.list("x"));
    }),
  );
});

test("a map means the same whether it is written as a map or as its JSON text", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean())), (x) => {
      const [yaml, declared] = [x, JSON.stringify(x)].map((value) => new PipelineSettings({ x: value }));

      expect(Object.entries(declared?.map("x") ?? {})).toEqual(Object.entries(yaml?.map("x") ?? {}));
    }),
  );
});
