import { describe, expect, test } from "@jest/globals";
import { NO_HEADERS, toHeaders } from "../../../src/domain/job-headers.ts";
import { Job, type JobFields } from "../../../src/domain/job.ts";

describe("a job", () => {
  const payload = Uint8Array.from([0, 255, 10]);
  const kafka = { topic: "orders", metadata: "m", offset: 7, partition: 3 };
  const fields: JobFields = {
    id: "1",
    name: "app.Send",
    pipeline: "mails",
    payload,
    headers: toHeaders([["a", ["1", "2"]]]),
    priority: 5,
    delaySec: 9,
    autoAck: true,
    kafka,
  };
  const full = new Job(fields);

  test("that gives only what it must has the defaults for the rest", () => {
    const job = new Job({ id: "1", name: "app.Send", pipeline: "mails", payload });

    expect(job).toMatchObject({ priority: 0, delaySec: 0, autoAck: false, kafka: undefined });
    expect(job.headers).toBe(NO_HEADERS);
  });

  test.each([
    { what: "priority", changed: full.withPriority(1), change: { priority: 1 } },
    { what: "headers", changed: full.withHeaders(NO_HEADERS), change: { headers: NO_HEADERS } },
    { what: "delay", changed: full.withDelay(0), change: { delaySec: 0 } },
  ])("with another $what keeps everything else", ({ changed, change }) => {
    expect(changed).toEqual(new Job({ ...fields, ...change }));
    expect(changed).toBeInstanceOf(Job);
    expect(changed.payload).toBe(payload);
  });

  test("that moves to another pipeline is due there at once, with that pipeline's priority", () => {
    const moved = full.movedTo("dead");

    expect(moved).toEqual(new Job({ ...fields, pipeline: "dead", priority: 0, delaySec: 0, kafka: undefined }));
  });

  test("that moves to another pipeline does not name the topic it came from", () => {
    const moved = full.movedTo("dead");

    expect(moved.kafka).toBeUndefined();
  });
});
