import { expect, test } from "@jest/globals";
import { ResetWorkers } from "../../../src/application/reset-workers.ts";
import { ScaleWorkers } from "../../../src/application/scale-workers.ts";
import { ATTEMPT_HEADER, headerValue } from "../../../src/domain/job-headers.ts";
import { CountedDaemon } from "../../support/counted-daemon.ts";
import { describeWithPhp } from "../../support/php.ts";
import { isAlive } from "../../support/real-pool.ts";

const never = new AbortController().signal;
const BROKER = { pipelines: "p: { driver: simulated }" };

describeWithPhp("a daemon whose workers are reset, added and removed under load", () => {
  test("[JC-46] counts no attempt and executes no job twice", async () => {
    await using daemon = await CountedDaemon.start({ workers: 2 });
    const jobs = 300;
    for (let job = 0; job < jobs; job++) await daemon.push(`job-${job}`, ["sleep 0.01"]);

    let rounds = 0;
    while (daemon.outcomes().filter((outcome) => outcome === "ok").length < jobs) {
      await daemon.get(ResetWorkers).execute(never);
      await daemon.get(ScaleWorkers).add(never);
      await daemon.get(ScaleWorkers).remove(never);
      rounds += 1;
    }

    expect(rounds).toBeGreaterThan(0);
    expect(daemon.metrics.linesOf("attemptFailed")).toEqual([]);
    const ids = daemon.runs().map(({ id }) => id);
    expect(ids).toHaveLength(jobs);
    expect(new Set(ids).size).toBe(jobs);
    expect(new Set(daemon.runs().map(({ pid }) => pid)).size).toBeGreaterThan(2);
  });
});

describeWithPhp("a daemon that is stopped", () => {
  test("[POOL-59] lets a running job end and acknowledges it, starts no other, and the others are back at the broker", async () => {
    await using daemon = await CountedDaemon.start(BROKER);
    await daemon.push("running", ["sleep 3"]);
    await daemon.until("the first execution", () => daemon.runs().length === 1);
    for (const id of ["a", "b", "c"]) await daemon.push(id, ["ack"]);

    await daemon.stop();

    const [broker] = daemon.brokers.brokers;
    expect(daemon.runs().map(({ id }) => id)).toEqual(["running"]);
    expect(daemon.outcomes().filter((outcome) => outcome === "ok")).toHaveLength(1);
    expect(broker?.waiting.map(({ id }) => id).sort()).toEqual(["a", "b", "c"]);
    expect([broker?.unsettled.size, broker?.delayed.size, [...(broker?.faulted ?? [])], broker?.violations]).toEqual([
      0,
      0,
      [],
      [],
    ]);
  });

  test("[POOL-60] does not wait for a job longer than the grace period: the job goes back unharmed, nothing is left", async () => {
    await using daemon = await CountedDaemon.start({ ...BROKER, more: "endure: { grace_period: 5s }" });
    await daemon.push("endless", ["sleep 300"]);
    await daemon.until("the execution", () => daemon.runs().length === 1);
    const [run] = daemon.runs();

    const startMs = performance.now();
    await daemon.stop();

    expect(performance.now() - startMs).toBeLessThan(6000);
    const [broker] = daemon.brokers.brokers;
    expect(broker?.waiting.map(({ id, headers }) => [id, headerValue(headers, ATTEMPT_HEADER)])).toEqual([
      ["endless", undefined],
    ]);
    expect(daemon.metrics.linesOf("attemptFailed")).toEqual([]);
    expect(isAlive(run?.pid ?? 0)).toBe(false);
  });
});
