import { describe, expect, test } from "@jest/globals";
import { type Reservation, StaleJobs } from "../../../../src/adapters/beanstalk/stale-jobs.ts";

function reservation(fields: Partial<Reservation> = {}): Reservation {
  return { id: "7", instance: "one", body: Buffer.from("body"), reservedAtMs: 10_000, ...fields };
}

const named = (): string => "an id";
const nameless = (): string => "";

describe("StaleJobs", () => {
  test("a job of the same server process is known by its id", () => {
    const stale = new StaleJobs<{ reservation: Reservation }>();
    const delivery = { reservation: reservation() };
    stale.lost(delivery);

    expect(stale.knows("7")).toBe(true);
    expect(stale.take(reservation({ reservedAtMs: 20_000 }), 0, nameless)).toEqual({ t: "open", delivery });
    expect(stale.knows("7")).toBe(false);
  });

  test("a finished job is known once more, and then forgotten", () => {
    const stale = new StaleJobs<{ reservation: Reservation }>();
    const delivery = { reservation: reservation() };
    stale.lost(delivery);
    stale.finished(delivery);

    expect(stale.take(reservation(), 1, named).t).toBe("finished");
    expect(stale.take(reservation(), 1, named).t).toBe("new");
    expect(stale.size).toBe(0);
  });

  test.each([
    ["with an equal body that names it, and old enough", {}, 30, named, "open"],
    ["but younger than its first reservation", {}, 5, named, "new"],
    ["but with another body", { body: Buffer.from("other") }, 30, named, "new"],
    ["but with a body that does not name a job", {}, 30, nameless, "new"],
  ])("after a restart of the server an equal id is the same job %s", (_case, fields, ageSec, identOf, expected) => {
    const stale = new StaleJobs<{ reservation: Reservation }>();
    stale.lost({ reservation: reservation() });

    const now = reservation({ instance: "two", reservedAtMs: 20_000, ...fields });
    expect(stale.take(now, ageSec, identOf).t).toBe(expected);
  });

  test("remembers the last 10,000 finished jobs", () => {
    const stale = new StaleJobs<{ reservation: Reservation }>();
    for (let id = 0; id < 10_005; id++) stale.finished({ reservation: reservation({ id: id.toString() }) });

    expect([stale.size, stale.knows("4"), stale.knows("5")]).toEqual([10_000, false, true]);
  });

  test("a delivery that ended in another way is forgotten", () => {
    const stale = new StaleJobs<{ reservation: Reservation }>();
    const delivery = { reservation: reservation() };
    stale.lost(delivery);
    stale.forget(delivery);

    expect([stale.knows("7"), [...stale.open]]).toEqual([false, []]);
  });
});
