import { describe, expect, test } from "@jest/globals";
import { parseSqsOptions, type SqsOptions } from "../../../../src/adapters/sqs/sqs-options.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";

const parse = (options: Readonly<Record<string, unknown>>): ReturnType<typeof parseSqsOptions> =>
  parseSqsOptions(new PipelineSettings(options), "rearm");

const optionsOf = (options: Readonly<Record<string, unknown>>): SqsOptions => parse(options).options;

describe("options of an SQS pipeline", () => {
  test("have RoadRunner's defaults", () => {
    expect(parse({})).toEqual({
      options: {
        queue: "default",
        fifo: false,
        prefetch: 1,
        maxInFlight: 1,
        visibilitySec: 0,
        errorVisibilitySec: 0,
        retainFailedJobs: false,
        waitSec: 0,
        skipDeclaration: false,
        messageGroupId: "",
        attributes: {},
        tags: {},
        heartbeat: true,
        maxPolls: 1,
        deleteWaitMs: 10,
        ownerAccountId: "",
        nackMode: "resend",
        delayed: "rearm",
      },
      warnings: [],
    });
  });

  test("[JC-21] are the same from YAML and from the texts of Declare", () => {
    const yaml = {
      config: {
        queue: "q",
        prefetch: 5,
        max_messages_in_flight: 30,
        visibility_timeout: 60,
        wait_time_seconds: 7,
        retain_failed_jobs: true,
        error_visibility_timeout: 3,
        skip_queue_declaration: true,
        message_group_id: "g",
        attributes: { DelaySeconds: 5, SqsManagedSseEnabled: true },
        tags: { Team: "x" },
        visibility_heartbeat: false,
        max_receive_polls: 2,
        delete_batch_wait_ms: 0,
        queue_owner_account_id: "123456789012",
        nack_mode: "visibility",
        delayed: "reject",
      },
    };
    const declared = {
      queue: "q",
      prefetch: "5",
      max_messages_in_flight: "30",
      visibility_timeout: "60",
      wait_time: "7",
      retain_failed_jobs: "true",
      error_visibility_timeout: "3",
      skip_queue_declaration: "1",
      message_group_id: "g",
      attributes: '{"delayseconds":"5","SQSMANAGEDSSEENABLED":"true"}',
      tags: '{"Team":"x"}',
      visibility_heartbeat: "false",
      max_receive_polls: "2",
      delete_batch_wait_ms: "0",
      queue_owner_account_id: "123456789012",
      nack_mode: "visibility",
      delayed: "reject",
    };

    expect(parse(declared)).toEqual(parse(yaml));
    expect(parse(yaml).warnings).toEqual([]);
  });

  test("[SQS-23] know the wait under both of its names, of which the one of YAML wins", () => {
    expect(optionsOf({ wait_time: 3 }).waitSec).toBe(3);
    expect(optionsOf({ wait_time_seconds: "4" }).waitSec).toBe(4);
    expect(optionsOf({ wait_time: 3, wait_time_seconds: 4 }).waitSec).toBe(4);
  });

  test.each([
    [{ prefetch: "100" }, { prefetch: 10, maxInFlight: 10 }],
    [{ prefetch: -5 }, { prefetch: 1, maxInFlight: 1 }],
    [{ prefetch: 10, max_messages_in_flight: -1 }, { maxInFlight: 10 }],
    [{ max_messages_in_flight: 500_000 }, { maxInFlight: 120_000 }],
    [{ visibility_timeout: 99_999 }, { visibilitySec: 43_200 }],
    [{ retain_failed_jobs: true, error_visibility_timeout: -1 }, { errorVisibilitySec: 0 }],
    [{ wait_time: 21 }, { waitSec: 20 }],
    [{ max_receive_polls: 9 }, { maxPolls: 8 }],
    [{ delete_batch_wait_ms: 5000 }, { deleteWaitMs: 1000 }],
  ])("[SQS-21] are brought into their limits, with one warning each: %j", (written, expected) => {
    const { options, warnings } = parse(written);

    expect(options).toMatchObject(expected);
    expect(warnings).toHaveLength(1);
  });

  test("poll with as many requests as the messages that may be held need", () => {
    expect(optionsOf({ prefetch: 10 }).maxPolls).toBe(1);
    expect(optionsOf({ prefetch: 10, max_messages_in_flight: 25 }).maxPolls).toBe(3);
    expect(optionsOf({ prefetch: 10, max_messages_in_flight: 1000 }).maxPolls).toBe(8);
  });

  test("tell of a visibility that has no effect", () => {
    expect(parse({ error_visibility_timeout: 5 }).warnings).toEqual([
      "option error_visibility_timeout: it has no effect without retain_failed_jobs",
    ]);
  });

  test("[SQS-16] refuse a queue that is first-in-first-out without a group", () => {
    expect(() => parse({ queue: "a.fifo" })).toThrow("option message_group_id: a first-in-first-out queue needs one");
  });

  test.each([
    [{ queue: "https://sqs.eu-central-1.amazonaws.com/1/q" }, "option queue: expected the name of a queue"],
    [{ queue: "arn:aws:sqs:eu-central-1:1:q" }, "neither"],
    [{ queue: "q".repeat(81) }, "option queue"],
    [{ message_group_id: "ä" }, "option message_group_id"],
    [{ message_group_id: "g".repeat(129) }, "option message_group_id"],
    [{ attributes: { FifoQueue: true } }, "must end with .fifo"],
    [{ attributes: "[1]" }, "option attributes"],
    [{ prefetch: "many" }, "option prefetch"],
    [{ nack_mode: "discard" }, "option nack_mode: expected resend or visibility"],
    [{ delayed: "nak" }, "option delayed: expected rearm or reject"],
  ])("refuse what can not be used: %j", (written, text) => {
    const failure = (): unknown => parse(written);

    expect(failure).toThrow(text === "neither" ? "not its URL or ARN" : text);
    expect(failure).toThrow(expect.objectContaining({ code: "JOBS_PIPELINE_INVALID" }));
  });
});

describe("attributes of a queue", () => {
  const attributesOf = (attributes: unknown, queue = "q"): Readonly<Record<string, string>> =>
    optionsOf({ queue, attributes, message_group_id: "g" }).attributes;

  test("[SQS-22] become texts, whatever they were", () => {
    const written = {
      DelaySeconds: 5,
      FifoQueue: true,
      RedrivePolicy: { maxReceiveCount: 3, deadLetterTargetArn: "arn:aws:sqs:x" },
      KmsMasterKeyId: null,
    };

    expect(attributesOf(JSON.stringify(written), "q.fifo")).toEqual({
      DelaySeconds: "5",
      FifoQueue: "true",
      RedrivePolicy: '{"maxReceiveCount":3,"deadLetterTargetArn":"arn:aws:sqs:x"}',
    });
  });

  test("are known by any spelling, and so are their words", () => {
    const written = {
      fifothroughputlimit: "PERMESSAGEGROUPID",
      DEDUPLICATIONSCOPE: "messagegroup",
      visibilitytimeout: 9,
    };

    expect(attributesOf(written)).toEqual({
      FifoThroughputLimit: "perMessageGroupId",
      DeduplicationScope: "messageGroup",
      VisibilityTimeout: "9",
    });
    expect(attributesOf({ deduplicationscope: "Queue" })).toEqual({ DeduplicationScope: "queue" });
  });

  test("pass on what is not known, with a warning", () => {
    const { options, warnings } = parse({ attributes: { Novel: 1 } });

    expect(options.attributes).toEqual({ Novel: "1" });
    expect(warnings).toEqual(["option attributes: attribute Novel is not known and is passed on as it is"]);
  });

  test("leave out FifoQueue where it is false, and add it where the name of the queue asks for it", () => {
    expect(attributesOf({ FifoQueue: false })).toEqual({});
    expect(attributesOf({}, "q.fifo")).toEqual({ FifoQueue: "true" });
    expect(attributesOf({ FifoQueue: "1" }, "q.fifo")).toEqual({ FifoQueue: "true" });
  });

  test("[SQS-1] keep the case of tags", () => {
    expect(optionsOf({ tags: { Team: "x", n: 1, gone: null } }).tags).toEqual({ Team: "x", n: "1" });
  });
});
