import fc from "fast-check";
import { describe, expect, test } from "@jest/globals";
import { settled } from "../../src/testing/fake-clock.ts";
import { aStartedPool, never, turns } from "../support/pool-world.ts";
import { aTask, type RecordedTask } from "../support/worker-tasks.ts";

type Step =
  | { readonly t: "run" | "answer" | "softError" | "die" | "doubleAnswer" | "stopMarker" | "reset" | "add" | "remove" }
  | { readonly t: "starts"; readonly fail: boolean }
  | { readonly t: "wait"; readonly ms: number };

const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.constant<Step>({ t: "run" }) },
    { weight: 4, arbitrary: fc.constant<Step>({ t: "answer" }) },
    {
      weight: 3,
      arbitrary: fc
        .constantFrom("softError", "die", "doubleAnswer", "stopMarker", "reset", "add", "remove")
        .map((t): Step => ({ t })),
    },
    { weight: 1, arbitrary: fc.boolean().map((fail): Step => ({ t: "starts", fail })) },
    { weight: 2, arbitrary: fc.nat({ max: 3000 }).map((ms): Step => ({ t: "wait", ms })) },
  ),
  { maxLength: 40 },
);

/** The links that are alive in an order the numbers choose from. */
function pick<T>(items: readonly T[], number: number): T | undefined {
  return items[number % Math.max(1, items.length)];
}

describe("a pool of workers, whatever happens to it", () => {
  test("gives every job exactly one result, and comes back to its size with every place filled once", async () => {
    const options = { numWorkers: 3, maxJobs: 3, resetTimeoutMs: 2000, destroyTimeoutMs: 500 };
    await fc.assert(
      fc.asyncProperty(steps, fc.array(fc.nat(), { minLength: 40, maxLength: 40 }), async (plan, numbers) => {
        const limits = { watchTickMs: 500, ttlMs: 5000, idleTtlMs: 0, memoryBytes: 0 };
        const world = await aStartedPool({ ...options, limits });
        const { pool, launcher, clock } = world;
        const tasks: RecordedTask[] = [];
        const calls: Promise<unknown>[] = [];
        const call = (promise: Promise<unknown>): void => {
          calls.push(promise.catch(() => undefined));
        };
        const alive = (): typeof launcher.links => launcher.links.filter((link) => !link.ended);
        const busy = (): typeof launcher.links => {
          const working = new Set(
            pool
              .workers()
              .filter(({ state }) => state === "working")
              .map(({ pid }) => pid),
          );
          return alive().filter((link) => working.has(link.pid));
        };

        for (const [index, step] of plan.entries()) {
          const number = numbers[index] ?? 0;
          switch (step.t) {
            case "run":
              if (pool.free > 0) {
                const task = aTask({ id: `job-${tasks.length}` });
                tasks.push(task);
                pool.run(task);
              }
              break;
            case "answer":
              pick(busy(), number)?.answer();
              break;
            case "softError":
              pick(busy(), number)?.error("no");
              break;
            case "doubleAnswer": {
              const link = pick(busy(), number);
              link?.answer();
              if (link !== undefined && !link.ended) link.answer();
              break;
            }
            case "stopMarker":
              pick(busy(), number)?.answer("", '{"stop":true}');
              break;
            case "die":
              pick(alive(), number)?.die({ signal: "SIGKILL" });
              break;
            case "reset":
              call(pool.reset(never));
              break;
            case "add":
              if (pool.status().size < 6) call(pool.addWorker(never));
              break;
            case "remove":
              call(pool.removeWorker(never));
              break;
            case "starts":
              launcher.failing = step.fail;
              break;
            case "wait":
              await clock.advanceAsync(step.ms);
          }
          await turns();
          const { size, ready, working } = pool.status();
          expect(pool.free).toBeLessThanOrEqual(size);
          expect(ready + working).toBeLessThanOrEqual(size);
        }

        launcher.failing = false;
        // Jobs end, calls end, and back-offs pass.
        for (let round = 0; round < 40; round++) {
          for (const link of busy()) link.answer();
          for (const link of alive()) if (link.askedToStop) link.die({ code: 0 });
          await turns();
          await clock.advanceAsync(2000);
        }
        await Promise.all(calls);
        for (const link of alive()) if (link.askedToStop) link.die({ code: 0 });
        await settled();

        expect(tasks.filter(({ results }) => results.length !== 1)).toEqual([]);
        const { size, ready } = pool.status();
        expect([size >= 1, ready]).toEqual([true, size]);
        const slots = pool
          .workers()
          .filter(({ state }) => state === "ready")
          .map(({ slot }) => slot);
        expect(new Set(slots).size).toBeGreaterThanOrEqual(size);
        const stopped = pool.stop(never);
        for (let round = 0; round < 5; round++) {
          for (const link of alive()) link.die({ code: 0 });
          await turns();
        }
        await stopped;
        expect(pool.workers()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
