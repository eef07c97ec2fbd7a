import { describe, expect, test } from "@jest/globals";
import { NO_HEADERS, toHeaders } from "../../../src/domain/job-headers.ts";
import { Job } from "../../../src/domain/job.ts";

describe("a job", () => {
  const payload = Uint8Array.from([0, 255, 10]);
  const kafka = { topic: "orders", metadata: "m", offset: 7, partition: 3 };
  const full = new Job({
    id: "1",
    name: "app.Send",
    pipeline: "mails",
    payload,
    headers: toHeaders([["a", ["1", "2"]]]),
    priority: 5,
    delaySec: 9,
    autoAck: true,
    kafka,
  });

  test("that gives only what it must has the defaults for the rest", () => {
    const job = new Job({ id: "1", name: "app.Send", pipeline: "mails", payload });

    expect(job).toMatchObject({ priority: 0, delaySec: 0, autoAck: false, kafka: undefined });
    expect(job.headers).toBe(NO_HEADERS);
  });

  test.each([
    { change: "priority", changed: full.withPriority(1), fields: { priority: 1 } },
    { change: "headers", changed: full.withHeaders(NO_HEADERS), fields: { headers: NO_HEADERS } },
    { change: "delay", changed: full.withDelay(0), fields: { delaySec: 0 } },
  ])("with another $change keeps everything else", ({ changed, fields }) => {
    expect({ ...changed }).toEqual({ ...full, ...fields });
    expect(changed).toBeInstanceOf(Job);
    expect(changed.payload).toBe(payload);
  });

  test("that moves to another pipeline is due there at once, with that pipeline's priority", () => {
    const moved = full.movedTo("dead");

    expect({ ...moved }).toEqual({ ...full, pipeline: "dead", priority: 0, delaySec: 0, kafka: undefined });
  });

  test("that moves to another pipeline does not name the topic it came from", () => {
    const moved = full.movedTo("dead");

    expect(moved.kafka).toBeUndefined();
  });
});
