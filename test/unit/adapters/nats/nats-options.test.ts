import { describe, expect, test } from "@jest/globals";
import { durableName, parseNatsOptions, type ReadNatsOptions } from "../../../../src/adapters/nats/nats-options.ts";
import { InvalidPipelineError } from "../../../../src/domain/errors.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";

function read(config: Record<string, unknown>, rejectDelays = false): ReadNatsOptions {
  return parseNatsOptions(aPipeline({ driver: "nats", settings: new PipelineSettings({ config }) }), rejectDelays);
}

function declared(options: Record<string, unknown>): ReadNatsOptions {
  const settings = new PipelineSettings(options);
  return parseNatsOptions(aPipeline({ driver: "nats", settings, origin: "declared" }), false);
}

describe("options", () => {
  test("absent ones have RoadRunner's defaults", () => {
    const { options, warnings, notes } = read({});

    expect(options).toEqual({
      subject: "default",
      stream: "default-stream",
      consumer: "rr-jobs-mails",
      priority: 10,
      prefetch: 10,
      maxAckPending: undefined,
      ackWaitMs: 30_000,
      deleteAfterAck: false,
      deleteStreamOnStop: false,
      deliverNew: false,
      maxDeliver: -1,
      backoffMaxMs: 60_000,
      skipStreamDeclaration: false,
      inactiveThresholdMs: 0,
      delayed: "auto",
    });
    expect([warnings, notes]).toEqual([[], []]);
    expect(declared({}).options.prefetch).toBe(100);
  });

  test("[JC-21] values of YAML and the texts of Declare give the same options", () => {
    const yaml = {
      prefetch: 5,
      ack_wait: 30,
      delete_after_ack: true,
      deliver_new: "true",
      rate_limit: 100,
      stream: "s",
    };
    const texts = {
      prefetch: "5",
      ack_wait: "30",
      delete_after_ack: "true",
      deliver_new: "true",
      rate_limit: "100",
      stream: "s",
    };

    expect(declared(texts)).toEqual(read(yaml));
    expect(read(yaml).options).toMatchObject({
      prefetch: 5,
      ackWaitMs: 30_000,
      deleteAfterAck: true,
      deliverNew: true,
    });
  });

  test.each([
    [30, 30_000],
    ["30", 30_000],
    ["30s", 30_000],
    ["1m30s", 90_000],
    ["500ms", 500],
    [0, 30_000],
    ["", 30_000],
  ])("[NATS-17] ack_wait %p is %p ms", (value, ms) => {
    expect(read({ ack_wait: value }).options.ackWaitMs).toBe(ms);
    expect(declared({ ack_wait: String(value) }).options.ackWaitMs).toBe(ms);
  });

  test("an ack_wait that is too short for signs of life is lengthened, with a warning", () => {
    const { options, warnings } = read({ ack_wait: "30ns" });

    expect(options.ackWaitMs).toBe(100);
    expect(warnings).toEqual(['ack_wait "30ns" is too short, it is 100ms']);
  });

  test.each([[-1], ["-5"]])("[NATS-24] a prefetch of %p becomes the default, with a warning", (value) => {
    const { options, warnings } = declared({ prefetch: value });

    expect(options.prefetch).toBe(100);
    expect(warnings).toEqual([`prefetch ${value} can not be used, it is 100`]);
  });

  test("a prefetch of 0 is the default", () => {
    expect(read({ prefetch: 0 })).toMatchObject({ options: { prefetch: 10 }, warnings: [] });
  });

  test("rate_limit has no effect, which is told", () => {
    expect(read({ rate_limit: 100 }).notes).toHaveLength(1);
  });

  test("delays are refused where RoadRunner's behaviour is asked for, unless the pipeline says otherwise", () => {
    expect(read({}, true).options.delayed).toBe("reject");
    expect(read({ delayed: "NAK" }, true).options.delayed).toBe("nak");
  });

  test.each([
    ["subject", "a b"],
    ["subject", "a..b"],
    ["subject", ".a"],
    ["subject", "a.>.b"],
    ["subject", "a*"],
    ["stream", "a.b"],
    ["stream", "a b"],
    ["consumer", "a/b"],
    ["ack_wait", "soon"],
    ["ack_wait", -1],
    ["delayed", "later"],
    ["max_ack_pending", 0],
    ["prefetch", "many"],
    ["delete_after_ack", "perhaps"],
  ])("%s: %p is refused with the name of the option", (name, value) => {
    expect(() => read({ [name]: value })).toThrow(InvalidPipelineError);
    expect(() => read({ [name]: value })).toThrow(`option ${name}`);
  });

  test.each(["default", "a.*", "a.>", ">", "*", "a.*.c"])("subject %s is accepted", (subject) => {
    expect(read({ subject }).options.subject).toBe(subject);
  });
});

test("names of consumers are what the server takes, and different for different pipelines", () => {
  expect(durableName("mails_1-a")).toBe("rr-jobs-mails_1-a");
  expect(durableName("a.b")).toMatch(/^rr-jobs-a_b-[0-9a-f]{8}$/);
  expect(durableName("a b")).not.toBe(durableName("a.b"));
});
