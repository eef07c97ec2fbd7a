import { describe, expect, test } from "@jest/globals";
import { BeanstalkCodec, itemFromJob } from "../../src/adapters/beanstalk/beanstalk-message.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { Job } from "../../src/domain/job.ts";
import { bodyOf, MESSAGES, payloadOf, type RecordedJob, type RecordedPut } from "./beanstalk-golden.ts";

interface Pair {
  readonly name: string;
  readonly pushed: RecordedJob;
  readonly put: RecordedPut;
}

/** Each job with the put RoadRunner made of it. */
const PAIRS: readonly Pair[] = MESSAGES.cases.flatMap(({ name, pushed, published, republished }) => {
  const jobs = Array.isArray(pushed) ? (pushed as readonly RecordedJob[]) : [pushed as RecordedJob];
  const puts = published === undefined ? [republished] : Array.isArray(published) ? published : [published];
  return (puts as readonly (RecordedPut | undefined)[]).flatMap((put, index) => {
    const job = jobs[index];
    return put === undefined || job === undefined ? [] : [{ name: `${name} ${index}`, pushed: job, put }];
  });
});

describe("messages of RoadRunner 2025.1", () => {
  test("all of them are looked at", () => {
    expect(PAIRS.length).toBeGreaterThanOrEqual(22);
  });

  const whole = PAIRS.filter(({ put }) => bodyOf(put) !== undefined);
  test.each(whole)("$name is read with every field", ({ put }) => {
    const { gob } = put;

    const item = new BeanstalkCodec().decode(bodyOf(put) ?? Buffer.alloc(0));

    expect(Buffer.from(item?.payload ?? []).equals(gob.Payload === null ? Buffer.alloc(0) : payloadOf(gob.Payload))).toBe(
      true,
    );
    expect({ ...item, payload: undefined }).toEqual({
      job: gob.Job,
      ident: gob.Ident,
      payload: undefined,
      headers: undefined,
      options: {
        priority: expect.anything(),
        pipeline: gob.Options.Pipeline,
        delay: Number(gob.Options.Delay ?? 0),
        autoAck: gob.Options.AutoAck ?? false,
        queue: gob.Options.Queue ?? "",
      },
    });
    expect(String(item?.options?.priority)).toBe(gob.Options.Priority);
  });

  test.each(PAIRS)("[BEAN-16] ours of $name has the same fields, and the headers besides", ({ pushed, put }) => {
    const { gob } = put;
    const codec = new BeanstalkCodec();
    const job = new Job({
      id: pushed.id,
      name: pushed.job,
      pipeline: pushed.options.pipeline,
      payload: payloadOf(pushed.payload),
      headers: toHeaders(Object.entries(pushed.headers)),
      delaySec: Number(gob.Options.Delay ?? 0),
      autoAck: pushed.options.auto_ack ?? false,
    });
    const priority = BigInt(gob.Options.Priority);

    const ours = codec.decode(codec.encode(itemFromJob(job, gob.Options.Queue ?? "", priority)));
    const recorded = bodyOf(put);
    const theirs = recorded === undefined ? undefined : codec.decode(recorded);

    expect(ours?.headers).toEqual(toHeaders(Object.entries(pushed.headers)));
    if (theirs !== undefined) {
      expect({ ...ours, headers: undefined, payload: Buffer.from(ours?.payload ?? []).toString("hex") }).toEqual({
        ...theirs,
        payload: Buffer.from(theirs.payload).toString("hex"),
      });
    }
    expect([put.delay, put.ttr]).toEqual([job.delaySec, 10]);
  });
});
