import { describe, expect, test } from "@jest/globals";
import { toJob, toMessage } from "../../src/adapters/sqs/sqs-message.ts";
import { binaryIn, bodyIn, bytesIn, jobOf, optionsOf, received, SQS_CASES, traceOf } from "./golden-sqs.ts";

const MAX_BYTES = 262_144;

/** Numbers beyond ours are the largest we have. */
const priorityOf = (text: string | undefined): string => Math.min(Number.MAX_SAFE_INTEGER, Number(text)).toString();

const sent = SQS_CASES.filter(({ error, published }) => error === undefined && published !== undefined).flatMap(
  ({ name, pushed, published = [] }) =>
    pushed.flatMap((job, index) => {
      const message = published[index];
      return message === undefined ? [] : [{ name, job, ...message }];
    }),
);

describe("a message RoadRunner sent to SQS", () => {
  test("is there for every kind of push", () => {
    expect(sent.length).toBe(22);
  });

  test.each(sent)("[SQS-3] is what we send for the same job: $name", ({ job, request }) => {
    const options = optionsOf(job.options.pipeline);

    const message = toMessage(jobOf(job, traceOf(request)), { options, maxBytes: MAX_BYTES });

    const { rr_headers: headers, rr_priority: priority, ...others } = request.MessageAttributes;
    expect(message.body).toBe(bodyIn(request.MessageBody));
    expect(message.attributes).toEqual({
      ...others,
      rr_headers: { DataType: "Binary", BinaryValue: expect.any(Uint8Array) as unknown },
      rr_priority: { DataType: "Number", StringValue: priorityOf(priority?.StringValue) },
    });
    const written = message.attributes["rr_headers"];
    const bytes = written !== undefined && "BinaryValue" in written ? written.BinaryValue : new Uint8Array(0);
    expect(Buffer.from(bytes).toString()).toBe(binaryIn(headers?.BinaryValue).toString());
    expect([message.delaySec, message.groupId, message.deduplicationId]).toEqual([
      request.DelaySeconds,
      request.MessageGroupId,
      request.MessageDeduplicationId,
    ]);
  });

  test.each(sent)("[SQS-3] becomes the job it was: $name", ({ job, request, readBack }) => {
    if (readBack === null) throw new Error("the recording has no such message");
    const { pipeline } = job.options;
    const original = jobOf(job, traceOf(request));

    const read = toJob(received(bytesIn(readBack.body).toString(), readBack.attributes, readBack.system), {
      pipeline,
      priority: 10,
      newId: () => "made up",
    });

    const { id, name, delaySec, autoAck } = original;
    expect(read).toMatchObject({ id, name, pipeline, delaySec, autoAck });
    expect(Buffer.from(read.payload).equals(original.payload)).toBe(true);
    expect(read.priority).toBe(original.priority);
    const system = Object.entries(readBack.system).map(([name, value]) => [name, [value]]);
    expect({ ...read.headers }).toEqual({ ...original.headers, ...Object.fromEntries(system) });
  });

  const again = SQS_CASES.flatMap(({ name, pushed: [job], republished }) =>
    republished === undefined || job === undefined ? [] : [{ name, job, republished }],
  );

  test.each(again)("becomes the job its worker asked for: $name", ({ job, republished }) => {
    const { MessageBody, MessageAttributes } = republished;

    const read = toJob(received(bodyIn(MessageBody), MessageAttributes, { ApproximateReceiveCount: "1" }), {
      pipeline: "p",
      priority: 10,
      newId: () => "made up",
    });

    // RoadRunner loses the priority of what it sends again; what it writes is honoured.
    expect(read).toMatchObject({ id: job.id, name: job.job, priority: 0 });
    expect(Buffer.from(read.payload).equals(bytesIn(job.payload))).toBe(true);
    expect(read.headers["a"]).toEqual(["1"]);
  });

  test.each(["binary payload", "empty payload", "payload that is not UTF-8"])(
    "that the service refused is refused before it is sent: %s",
    (name) => {
      const found = SQS_CASES.find((recorded) => recorded.name === name);
      const [job] = found?.pushed ?? [];
      if (job === undefined) throw new Error("the recording has no such case");
      const options = optionsOf(job.options.pipeline);

      expect(() => toMessage(jobOf(job, {}), { options, maxBytes: MAX_BYTES })).toThrow(/^sqs: (empty )?payload/);
      expect(found?.error).toBeDefined();
    },
  );
});
