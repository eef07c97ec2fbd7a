import { createHash } from "node:crypto";
import { describe, expect, test } from "@jest/globals";
import { writeHeaders } from "../../src/adapters/nats/nats-headers.ts";
import { decodeMessage, encodeJob } from "../../src/adapters/nats/nats-message.ts";
import { dataOf, goldenCopy, goldenPushes } from "./nats-messages.ts";

describe("messages of RoadRunner 2025.1 on NATS", () => {
  test("there are some of each kind", () => {
    expect(goldenPushes.length).toBeGreaterThan(14);
  });

  test.each(goldenPushes)("[NATS-2] our message has the same bytes: $title", ({ job, message, lines }) => {
    const data = encodeJob(job, "");
    const { headers } = writeHeaders(job.headers);

    if (message.data.sha256 !== undefined) {
      expect(createHash("sha256").update(data).digest("hex")).toBe(message.data.sha256);
    } else expect(data.toString("hex")).toBe(message.data.hex);
    expect(headers.flatMap(([name, values]) => values.map((value) => `${name}: ${value}`))).toEqual(lines);
  });

  test.each(goldenPushes)("[NATS-3] its message is read with every field: $title", ({ job, message }) => {
    const envelope = decodeMessage(dataOf(message) ?? encodeJob(job, ""));

    expect(envelope).toMatchObject({ name: job.name, id: job.id, priority: job.priority, autoAck: job.autoAck });
    expect(Buffer.from(envelope?.payload ?? [])).toEqual(Buffer.from(job.payload));
  });

  test.each(["requeue: answer 4, headers, delay 2", "requeue: answer 4, headers, no delay"])(
    "a copy has the same body: %s",
    (name) => {
      const { job, copy } = goldenCopy(name);

      expect(encodeJob(job, "golden-rq").toString("hex")).toBe(copy.data.hex);
    },
  );
});
