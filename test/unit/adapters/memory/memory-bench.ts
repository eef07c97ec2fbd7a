import { expect } from "@jest/globals";
import { DelayTimer } from "../../../../src/adapters/memory/delay-timer.ts";
import { MemoryBudget } from "../../../../src/adapters/memory/memory-budget.ts";
import { MemoryDriver } from "../../../../src/adapters/memory/memory-driver.ts";
import type { MemoryOptions } from "../../../../src/adapters/memory/memory-options.ts";
import type { Settlement } from "../../../../src/domain/delivery.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../../../src/testing/fake-sink.ts";

/** Everything a memory driver needs, with one sink for all drivers that are built. */
export class Bench {
  readonly clock = new FakeClock();
  readonly logger = new FakeLogger();
  readonly metrics = new FakeMetrics();
  readonly timer = new DelayTimer(this.clock);
  readonly budget: MemoryBudget;
  readonly sink = new FakeSink();

  constructor(budgetBytes = Infinity) {
    this.budget = new MemoryBudget(budgetBytes);
  }

  /** Runs the job of a delivery and settles it. */
  run(index: number, settlement: Settlement): void {
    const delivery = this.sink.at(index);
    expect(delivery.job).toBeDefined();
    expect(delivery.settle(settlement)).toBeUndefined();
  }

  driver(options: Partial<MemoryOptions> = {}, name = "mails", priority = 10): MemoryDriver {
    return new MemoryDriver(
      { pipeline: aPipeline({ name, priority }), sink: this.sink, timeoutMs: 1000 },
      { prefetch: 100_000, maxJobs: 0, maxBytes: 0, ...options },
      this,
    );
  }
}

/** Text of the error a push failed with; `stored` if it did not fail. */
export function outcomeOf(push: Promise<void> | undefined): Promise<string> {
  if (push === undefined) return Promise.resolve("stored at once");
  return push.then(
    () => "stored",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}
