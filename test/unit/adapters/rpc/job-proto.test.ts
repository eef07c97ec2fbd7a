import { describe, expect, test } from "@jest/globals";
import { create } from "@bufbuild/protobuf";
import { JobSchema } from "../../../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { toJob } from "../../../../src/adapters/rpc/job-proto.ts";
import { NO_HEADERS } from "../../../../src/domain/job-headers.ts";

describe("toJob", () => {
  test("maps every field, and takes the payload over without a copy", () => {
    const payload = Uint8Array.of(1, 2);
    const job = toJob(
      create(JobSchema, {
        job: "app.Job",
        id: "1",
        payload,
        headers: { k: { value: ["v"] }, empty: {} },
        options: { priority: -3n, pipeline: "p", delay: 5n, autoAck: true, topic: "t", offset: 7n, partition: 2 },
      }),
    );

    expect(job).toMatchObject({ name: "app.Job", id: "1", pipeline: "p", priority: -3, delaySec: 5, autoAck: true });
    expect(job.payload).toBe(payload);
    expect(Object.entries(job.headers)).toEqual([
      ["k", ["v"]],
      ["empty", []],
    ]);
    expect(Object.getPrototypeOf(job.headers)).toBeNull();
    expect(job.kafka).toEqual({ topic: "t", metadata: "", offset: 7, partition: 2 });
  });

  test("a job without options and headers has the defaults", () => {
    const job = toJob(create(JobSchema, { id: "1" }));

    expect(job).toMatchObject({ pipeline: "", priority: 0, delaySec: 0, autoAck: false, kafka: undefined });
    expect(job.headers).toBe(NO_HEADERS);
  });

  test.each(["priority", "delay", "offset"] as const)("%s outside ±(2^53−1) is refused", (field) => {
    const limit = 2n ** 53n;

    expect(() => toJob(create(JobSchema, { options: { [field]: limit } }))).toThrow(`${field} out of range`);
    expect(() => toJob(create(JobSchema, { options: { [field]: -limit } }))).toThrow(`${field} out of range`);
    expect(() => toJob(create(JobSchema, { options: { [field]: limit - 1n } }))).not.toThrow();
  });
});
