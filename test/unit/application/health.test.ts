import { describe, expect, test } from "@jest/globals";
import { Health, type ReadyMeans } from "../../../src/application/health.ts";
import { Drain } from "../../../src/domain/drain.ts";
import { PipelineRegistry } from "../../../src/domain/pipeline-registry.ts";
import type { PoolStatus } from "../../../src/domain/ports/worker-pool.ts";

const IDLE: PoolStatus = { size: 2, ready: 2, working: 0, starting: 0, degraded: false };
const BUSY: PoolStatus = { size: 2, ready: 0, working: 2, starting: 0, degraded: false };
const GONE: PoolStatus = { size: 2, ready: 0, working: 0, starting: 2, degraded: true };

function health(means: ReadyMeans, ...pools: readonly PoolStatus[]): { health: Health; drain: Drain } {
  const drain = new Drain();
  return {
    health: new Health(
      pools.map((status) => ({ name: "default", status: () => status })),
      new PipelineRegistry(),
      drain,
      means,
    ),
    drain,
  };
}

describe("Health", () => {
  test.each<[string, ReadyMeans, readonly PoolStatus[], boolean, boolean]>([
    ["idle workers", "serving", [IDLE], true, true],
    ["all workers busy", "serving", [BUSY], true, true],
    ["all workers busy, as RoadRunner sees it", "workers", [BUSY], true, false],
    ["idle workers, as RoadRunner sees it", "workers", [BUSY, IDLE], true, true],
    ["no workers", "serving", [GONE], false, false],
    ["one of two pools without workers", "serving", [IDLE, GONE], true, false],
    ["no pool at all", "serving", [], false, false],
  ])("%s", (_case, means, pools, alive, ready) => {
    const { health: probe } = health(means, ...pools);

    expect([probe.alive, probe.ready]).toEqual([alive, ready]);
  });

  test("a daemon that stops is alive and not ready", () => {
    const { health: probe, drain } = health("serving", IDLE);

    drain.begin();

    expect([probe.alive, probe.ready]).toEqual([true, false]);
  });
});
