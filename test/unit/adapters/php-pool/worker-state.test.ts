import { describe, expect, test } from "@jest/globals";
import { WORKER_STATES, type WorkerStateName } from "../../../../src/domain/ports/worker-pool.ts";
import { canMove, isActive, moved, WORKER_STATE_NAMES } from "../../../../src/adapters/php-pool/worker-state.ts";

const EXCEPT_DESTROYED = WORKER_STATE_NAMES.filter((name) => name !== "destroyed");

describe("states of a worker", () => {
  test("names stand in the order of the numbers RoadRunner reports", () => {
    expect(WORKER_STATE_NAMES.map((name) => WORKER_STATES[name])).toEqual([...WORKER_STATE_NAMES.keys()]);
  });

  test.each<[WorkerStateName, readonly WorkerStateName[]]>([
    ["inactive", EXCEPT_DESTROYED],
    ["ready", ["inactive", "working"]],
    ["working", ["ready"]],
    ["invalid", EXCEPT_DESTROYED],
    ["stopping", EXCEPT_DESTROYED],
    ["stopped", EXCEPT_DESTROYED],
    ["destroyed", WORKER_STATE_NAMES],
    ["maxJobsReached", EXCEPT_DESTROYED],
    ["errored", EXCEPT_DESTROYED],
    ["idleTTLReached", EXCEPT_DESTROYED],
    ["ttlReached", EXCEPT_DESTROYED],
    ["maxMemoryReached", EXCEPT_DESTROYED],
    ["execTTLReached", EXCEPT_DESTROYED],
  ])("%s may be entered from the states of RoadRunner's table and no others", (to, sources) => {
    const allowed = WORKER_STATE_NAMES.filter((from) => canMove(from, to));

    expect(allowed).toEqual(sources);
  });

  test("a refused move leaves the state as it is", () => {
    expect(moved("destroyed", "ready")).toBe("destroyed");
    expect(moved("errored", "working")).toBe("errored");
    expect(moved("ready", "working")).toBe("working");
  });

  test("only ready and working count as active", () => {
    expect(WORKER_STATE_NAMES.filter(isActive)).toEqual(["ready", "working"]);
  });
});
