import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ACK, type Delivery, NACK } from "../../../src/domain/delivery.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { HttpFaultProxy } from "../../support/http-fault-proxy.ts";
import { bytesOf, eventually, SqsServer, textOf } from "./sqs-fixture.ts";

describeWithBroker("sqs", "consuming from SQS", ({ address }) => {
  let proxy: HttpFaultProxy;
  let server: SqsServer;

  beforeEach(async () => {
    proxy = await HttpFaultProxy.start(address);
    server = new SqsServer(proxy.address);
  });

  afterEach(async () => {
    await server.close();
    await proxy.shut();
  });

  const countOf = (delivery: Delivery): string | undefined => delivery.job.headers["ApproximateReceiveCount"]?.[0];

  test("[SQS-5] runs a foreign message with an id of its own, the pipeline's priority and its attributes as headers", async () => {
    const { queue, delivery, sink } = await server.consumer({ priority: 5 });

    await server.send(queue, {
      MessageBody: "fooobarrbazzz",
      MessageAttributes: {
        custom: { DataType: "String", StringValue: "value" },
        typed: { DataType: "String.x", StringValue: "of a type" },
        count: { DataType: "Number.int", StringValue: "12" },
        text: { DataType: "Binary", BinaryValue: bytesOf("bytes") },
        bytes: { DataType: "Binary.png", BinaryValue: new Uint8Array([0xff, 0xfe]) },
      },
    });

    const received = await delivery();
    const { job } = received;
    expect(job.name).toBe("deduced_by_rr");
    expect(job.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(sink.entries[0]?.priority).toBe(5);
    expect(Buffer.from(job.payload).toString()).toBe("fooobarrbazzz");
    expect(job.headers).toMatchObject({
      custom: ["value"],
      typed: ["of a type"],
      count: ["12"],
      text: ["bytes"],
      bytes: ["//4="],
    });
    await received.settle(ACK);
  });

  test("[SQS-6] takes RoadRunner's attributes of a wrong type as absent", async () => {
    const { queue, delivery } = await server.consumer();
    const binary = { DataType: "Binary", BinaryValue: bytesOf("x") };

    await server.send(queue, {
      MessageBody: "b",
      MessageAttributes: { rr_id: binary, rr_job: binary, rr_delay: binary, rr_priority: binary, rr_auto_ack: binary },
    });

    const { job } = await delivery();
    expect(job).toMatchObject({ name: "deduced_by_rr", delaySec: 0, priority: 10, autoAck: false });
  });

  test.each([
    ["null", bytesOf("null")],
    ["no JSON", bytesOf("{nope")],
    ["absent", undefined],
  ])("[SQS-4] runs a job whose headers are %s, with those of the service", async (_what, headers) => {
    const { queue, delivery } = await server.consumer();

    await server.send(queue, {
      MessageBody: "b",
      MessageAttributes: {
        rr_id: { DataType: "String", StringValue: "a" },
        rr_job: { DataType: "String", StringValue: "app.Job" },
        ...(headers === undefined ? {} : { rr_headers: { DataType: "Binary", BinaryValue: headers } }),
      },
    });

    const { job } = await delivery();
    expect(job.id).toBe("a");
    expect(Object.keys(job.headers).sort()).toEqual([
      "ApproximateFirstReceiveTimestamp",
      "ApproximateReceiveCount",
      "SenderId",
      "SentTimestamp",
    ]);
  });

  test("[SQS-7] deletes a job with auto_ack before it runs", async () => {
    const { driver, queue, delivery } = await server.consumer();

    await driver.push(aJob({ id: "a", autoAck: true, payload: bytesOf("x") }));

    const received = await delivery();
    expect(await server.counts(queue)).toEqual({ waiting: 0, delayed: 0, invisible: 0 });
    await received.settle(ACK);
  });

  test("[SQS-7] does not run a job with auto_ack whose message can not be deleted, and runs it when it comes back", async () => {
    const { driver, queue, sink, log, delivery } = await server.consumer({
      timeoutMs: 1000,
      config: { visibility_timeout: 3 },
    });
    proxy.fault("DeleteMessageBatch", { t: "answer", status: 500, body: "" });

    await driver.push(aJob({ id: "a", autoAck: true, payload: bytesOf("x") }));
    const refusal = "job with auto_ack could not be deleted and is not run, its message comes back";
    await eventually(() => log.messages("warn").includes(refusal), "the refusal");
    expect(sink.entries).toEqual([]);
    proxy.heal();

    expect(countOf(await delivery())).not.toBe("1");
    expect(await server.counts(queue)).toEqual({ waiting: 0, delayed: 0, invisible: 0 });
  });

  test("gives a job with auto_ack that did not start back as a new message", async () => {
    const { driver, queue, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", autoAck: true, payload: bytesOf("x") }));
    const first = await delivery();

    await driver.pause(AbortSignal.timeout(5_000));
    await first.settle({ t: "release" });

    const [message] = await server.receive(queue);
    expect(message?.MessageAttributes?.["rr_id"]?.StringValue).toBe("a");
    expect(message?.MessageId).not.toBe(first.identity);
  });

  test("[SQS-8] deletes acknowledged jobs together", async () => {
    const { driver, queue, sink } = await server.consumer({ config: { max_messages_in_flight: 100 } });
    await driver.pushBatch(Array.from({ length: 25 }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf("x") })));
    await eventually(() => sink.entries.length === 25, "25 deliveries");

    await Promise.all(sink.entries.map(async ({ delivery }) => delivery.settle(ACK)));

    expect(proxy.of("DeleteMessageBatch").length).toBeLessThanOrEqual(5);
    expect(await server.counts(queue)).toEqual({ waiting: 0, delayed: 0, invisible: 0 });
  });

  test("[SQS-10] leaves a refused job to the queue, with the visibility that is set for errors", async () => {
    const { driver, delivery } = await server.consumer({
      config: { retain_failed_jobs: true, error_visibility_timeout: 2 },
    });
    expect(driver.capabilities.nack).toBe("native");
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    const counts: (string | undefined)[] = [];
    const times: number[] = [];
    for (let run = 0; run < 4; run++) {
      const received = await delivery(run);
      times.push(performance.now());
      counts.push(countOf(received));
      await received.settle(run === 3 ? ACK : NACK);
    }

    expect(counts).toEqual(["1", "2", "3", "4"]);
    for (const [index, at] of times.slice(1).entries()) expect(at - (times[index] ?? 0)).toBeGreaterThan(1_800);
  });

  test("[SQS-11] lets the queue's redrive policy have a job that is refused again and again", async () => {
    const dead = uniqueName("dead");
    await server.createQueue(dead);
    const deadLetterTargetArn = (await server.attributes(dead))["QueueArn"];
    const { driver, sink } = await server.consumer({
      config: {
        retain_failed_jobs: true,
        error_visibility_timeout: 1,
        attributes: { RedrivePolicy: { maxReceiveCount: 3, deadLetterTargetArn } },
      },
    });
    sink.onDeliver = ({ delivery: refused }) => void refused.settle(NACK);

    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    const [message] = await server.receive(dead);
    expect(message?.MessageAttributes?.["rr_id"]?.StringValue).toBe("a");
    expect(sink.entries).toHaveLength(3);
  });

  test("[SQS-12] sends a refused job again as a new message and deletes the old one", async () => {
    const { driver, queue, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x"), priority: 3, headers: toHeaders([["h", ["1"]]]) }));
    const first = await delivery();

    await first.settle(NACK);

    const again = await delivery(1);
    expect(again.identity).not.toBe(first.identity);
    expect(countOf(again)).toBe("1");
    expect(again.job).toMatchObject({ id: "a", priority: 3, headers: { h: ["1"] } });
    await again.settle(ACK);
    expect(await server.counts(queue)).toEqual({ waiting: 0, delayed: 0, invisible: 0 });
  });

  test("[SQS-12] doubles a job at most, and loses none, if it ends between copy and delete", async () => {
    const { driver, queue, delivery } = await server.consumer({ timeoutMs: 500, config: { visibility_timeout: 2 } });
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    const first = await delivery();
    proxy.fault("DeleteMessageBatch", { t: "cut" });
    await driver.pause(AbortSignal.timeout(5_000));

    await first.settle(NACK);

    // As long as no delete gets through, the original comes back when its time is over.
    const messages = await server.receive(queue, 2);
    proxy.heal();
    expect(messages.map(({ MessageAttributes }) => MessageAttributes?.["rr_id"]?.StringValue)).toEqual(["a", "a"]);
    await eventually(async () => (await server.counts(queue)).waiting === 0, "no third copy");
  });

  test("[SQS-9] runs a requeued job again after its delay, with its headers, as often as it is asked", async () => {
    const { driver, queue, sink } = await server.consumer();
    const starts: number[] = [];
    const seen: (readonly string[] | undefined)[] = [];
    sink.onDeliver = ({ delivery }) => {
      starts.push(performance.now());
      const { headers } = delivery.job;
      const attempts = Number(headers["attempts"]?.[0] ?? 0);
      seen.push(headers["attempts"]);
      if (attempts === 3) void delivery.settle(ACK);
      else {
        const next = toHeaders([...Object.entries(headers), ["attempts", [String(attempts + 1)]]]);
        void delivery.settle({ t: "requeue", headers: next, delayMs: 2000 });
      }
    };

    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    await eventually(() => sink.entries.length === 4, "4 starts");
    await server.emptied(queue);

    expect(seen).toEqual([undefined, ["1"], ["2"], ["3"]]);
    for (const [index, at] of starts.slice(1).entries()) expect(at - (starts[index] ?? 0)).toBeGreaterThan(1_900);
  });

  test("keeps the receive count of a job that is requeued with a delay and unchanged headers", async () => {
    const { driver, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x"), headers: toHeaders([["h", ["1"]]]) }));
    const first = await delivery();

    await first.settle({ t: "requeue", headers: first.job.headers, delayMs: 1000 });

    const again = await delivery(1);
    expect(again.identity).toBe(first.identity);
    expect(countOf(again)).toBe("2");
  });

  test("[SQS-20] never holds more than the pipeline may, and does not stall", async () => {
    const { driver, queue, sink } = await server.consumer({ config: { max_messages_in_flight: 1 } });
    let held = 0;
    let most = 0;
    sink.onDeliver = ({ delivery }) => {
      held += 1;
      most = Math.max(most, held);
      setTimeout(() => {
        held -= 1;
        void delivery.settle(ACK);
      }, 5);
    };

    await driver.pushBatch(Array.from({ length: 50 }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf("x") })));
    await eventually(() => sink.entries.length === 50, "50 jobs");

    expect(most).toBe(1);
    await server.emptied(queue);
  });

  test("[SQS-23] waits as long as it is told under either name, and leaves 0 to the queue", async () => {
    const waits = (queue: string): unknown[] => [
      ...new Set(
        proxy
          .of("ReceiveMessage")
          .filter(({ body }) => String(body["QueueUrl"]).endsWith(queue))
          .map(({ body }) => body["WaitTimeSeconds"]),
      ),
    ];
    const byDeclare = await server.consumer({ config: { wait_time_seconds: undefined, wait_time: "2" } });
    const byYaml = await server.consumer({ config: { wait_time_seconds: 1 } });
    const short = await server.consumer({ config: { wait_time_seconds: 0 } });

    await eventually(() => waits(short.queue).length > 0 && waits(byYaml.queue).length > 0, "polls");

    expect(waits(byDeclare.queue)).toEqual([2]);
    expect(waits(byYaml.queue)).toEqual([1]);
    expect(waits(short.queue)).toEqual([undefined]);
    expect(Object.keys(proxy.of("ReceiveMessage")[0]?.body ?? {})).not.toContain("VisibilityTimeout");
  });

  test("[SQS-24] shares a queue with another pipeline: each job runs once", async () => {
    const queue = uniqueName("shared");
    const left = await server.consumer({ queue, pipeline: "left", config: { max_messages_in_flight: 20 } });
    const right = await server.consumer({ queue, pipeline: "right", config: { max_messages_in_flight: 20 } });
    for (const { sink } of [left, right]) sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

    await left.driver.pushBatch(Array.from({ length: 200 }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf("x") })));
    await server.emptied(queue);

    const ids = [...left.sink.jobIds, ...right.sink.jobIds];
    expect(ids).toHaveLength(200);
    expect(new Set(ids).size).toBe(200);
  });

  test("[SQS-34] does not hide a message that is sent right after a pause", async () => {
    const { driver, queue, delivery } = await server.consumer({ config: { wait_time_seconds: 5 } });
    await eventually(() => proxy.of("ReceiveMessage").length === 1, "the long poll");

    const before = performance.now();
    await driver.pause(AbortSignal.timeout(5_000));
    const tookMs = performance.now() - before;
    await server.send(queue, { MessageBody: "x" });
    await eventually(async () => (await server.counts(queue)).invisible === 1, "the poll to take it");
    await driver.resume(AbortSignal.timeout(5_000));

    const received = await delivery();
    expect(countOf(received)).toBe("1");
    expect(tookMs).toBeLessThan(2_000);
    await received.settle(ACK);
  });

  test("gives back what a poll brings after a pause, so that others get it", async () => {
    const { driver, queue } = await server.consumer({ config: { wait_time_seconds: 5, visibility_timeout: 600 } });
    await eventually(() => proxy.of("ReceiveMessage").length === 1, "the long poll");
    await driver.pause(AbortSignal.timeout(5_000));

    await server.send(queue, { MessageBody: "x" });

    const [message] = await server.receive(queue);
    expect(message?.Body).toBe("x");
  });

  test("polls more at once while answers are full, and once when the queue is empty", async () => {
    const { driver, queue, sink } = await server.consumer({ config: { max_messages_in_flight: 80 } });
    await driver.pause(AbortSignal.timeout(5_000));
    await driver.pushBatch(Array.from({ length: 80 }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf("x") })));
    proxy.requests.length = 0;

    await driver.resume(AbortSignal.timeout(5_000));
    await eventually(() => sink.entries.length === 80, "80 deliveries");
    expect(proxy.of("ReceiveMessage").length).toBeLessThanOrEqual(20);

    await Promise.all(sink.entries.map(async ({ delivery }) => delivery.settle(ACK)));
    await server.emptied(queue);
  });

  test("hands over payloads and headers as they were", async () => {
    const { driver, delivery } = await server.consumer();
    const headers = toHeaders([
      ["a", ["1", "2"]],
      ["X-Ключ", ["é <b>&\u2028"]],
      ["e", []],
    ]);

    await driver.push(aJob({ id: "иди-1", name: "App\\Jobs\\Prüfung", payload: bytesOf("Привет\t\r\n мир"), headers }));

    const received = await delivery();
    expect(received.job).toMatchObject({ id: "иди-1", name: "App\\Jobs\\Prüfung" });
    expect(textOf(received)).toBe("Привет\t\r\n мир");
    expect(received.job.headers).toMatchObject({ ...headers });
  });
});
