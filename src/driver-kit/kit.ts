import type { DriverFlags, DriverHarness } from "./harness.ts";
import type { KitRunner } from "./runner.ts";
import type { Scenario } from "./scenario.ts";
import { batchScenarios } from "./scenarios/batch.ts";
import { connectionScenarios } from "./scenarios/connection.ts";
import { consumeScenarios } from "./scenarios/consume.ts";
import { coreScenarios } from "./scenarios/core.ts";
import { delayScenarios } from "./scenarios/delay.ts";
import { drainScenarios } from "./scenarios/drain.ts";
import { failureScenarios } from "./scenarios/failure.ts";
import { lifeScenarios } from "./scenarios/life.ts";
import { outageScenarios } from "./scenarios/outage.ts";
import { payloadScenarios } from "./scenarios/payload.ts";
import { pushScenarios } from "./scenarios/push.ts";
import { settleScenarios } from "./scenarios/settle.ts";
import { statsScenarios } from "./scenarios/stats.ts";
import { Stage } from "./stage.ts";

/** Everything a driver has to do, by theme. */
export const DRIVER_SCENARIOS: readonly Scenario[] = [
  ...pushScenarios,
  ...payloadScenarios,
  ...batchScenarios,
  ...consumeScenarios,
  ...delayScenarios,
  ...settleScenarios,
  ...statsScenarios,
  ...lifeScenarios,
  ...coreScenarios,
  ...failureScenarios,
  ...drainScenarios,
  ...connectionScenarios,
  ...outageScenarios,
];

const DEFAULT_LIMIT_MS = 60_000;

/** How the kit runs for one driver. */
export interface DriverKitOptions {
  /** Put before the title of a scenario, by its key, e.g. `{"payload-empty": "[JC-2]"}`. */
  readonly prefixes?: Readonly<Record<string, string>>;
  /** Scenarios that are left out, by key, and why: a difference the driver's documentation tells of. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Only these, by key: while a driver is being written. */
  readonly only?: readonly string[];
}

/**
 * Makes a test of each scenario. Call it where tests are registered; what starts and ends the broker is up to the caller.
 *
 * @throws {Error} an option names a scenario that does not exist
 */
export function testDriver(runner: KitRunner, harness: DriverHarness, options: DriverKitOptions = {}): void {
  const { prefixes = {}, skip = {}, only } = options;
  const known = new Set(DRIVER_SCENARIOS.map(({ key }) => key));
  const unknown = [...Object.keys(prefixes), ...Object.keys(skip), ...(only ?? [])].filter((key) => !known.has(key));
  if (unknown.length > 0) throw new Error(`the kit has no scenario ${unknown.join(", ")}`);
  for (const scenario of DRIVER_SCENARIOS) {
    const { key } = scenario;
    if (only !== undefined && !only.includes(key)) continue;
    const title = prefixes[key] === undefined ? scenario.title : `${prefixes[key]} ${scenario.title}`;
    const reason = skip[key] ?? scenario.unless?.(harness.flags);
    if (reason !== undefined) runner.test.skip(`${title} (left out: ${reason})`, () => Promise.resolve());
    else runner.test(title, () => play(scenario, runner, harness), limitOf(scenario, harness.flags));
  }
}

async function play(scenario: Scenario, runner: KitRunner, harness: DriverHarness): Promise<void> {
  const wishes = { deadLetters: false, priorities: false, ...scenario.wishes };
  const place = await harness.place(wishes);
  const stage = new Stage(harness.kind, place, harness.flags, runner.expect);
  // The daemon's own timers do not keep a process alive, and nothing else may.
  const alive = setInterval(() => undefined, 1000);
  try {
    await scenario.run(stage);
  } finally {
    await stage.dispose().finally(() => {
      clearInterval(alive);
    });
  }
}

/** Twice the redelivery time: a scenario may lose a consumer, and closing may have to wait for it once more. */
function limitOf({ limitMs = DEFAULT_LIMIT_MS }: Scenario, { redeliveryMs }: DriverFlags): number {
  return limitMs + 2 * redeliveryMs + 30_000;
}
