import { ListQueueTagsCommand } from "@aws-sdk/client-sqs";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { awsError, HttpFaultProxy } from "../../support/http-fault-proxy.ts";
import { bytesOf, eventually, SqsServer } from "./sqs-fixture.ts";

describeWithBroker("sqs", "the queue of an SQS pipeline", ({ address }) => {
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

  test("[SQS-22] is created with attributes as texts, whatever their types, and with tags", async () => {
    const dead = uniqueName("dead");
    await server.createQueue(dead);
    const deadLetterTargetArn = (await server.attributes(dead))["QueueArn"] ?? "";
    const attributes = { delayseconds: 5, fifoqueue: true, RedrivePolicy: { maxReceiveCount: 3, deadLetterTargetArn } };

    const { queue } = await server.pipeline({
      config: { attributes: JSON.stringify({ ...attributes, fifoqueue: undefined }), tags: '{"Team":"x"}' },
    });

    expect(await server.attributes(queue)).toMatchObject({ DelaySeconds: "5" });
    expect(JSON.parse((await server.attributes(queue))["RedrivePolicy"] ?? "{}")).toMatchObject({
      deadLetterTargetArn,
    });
    const tags = await server.client.send(new ListQueueTagsCommand({ QueueUrl: server.url(queue) }));
    expect(tags.Tags).toEqual({ Team: "x" });
    const sent = proxy.of("CreateQueue").at(-1)?.body["Attributes"];
    expect(sent).toEqual({
      DelaySeconds: "5",
      RedrivePolicy: JSON.stringify({ maxReceiveCount: 3, deadLetterTargetArn }),
    });
  });

  test("[SQS-22] is made first-in-first-out by its name", async () => {
    const queue = `${uniqueName("f")}.fifo`;

    await server.pipeline({ queue, config: { message_group_id: "g", attributes: { FifoQueue: "1" } } });

    expect(await server.attributes(queue)).toMatchObject({ FifoQueue: "true" });
  });

  test("[SQS-25] is left as it is if it exists with other attributes, and the differences are told", async () => {
    const queue = uniqueName("exists");
    await server.createQueue(queue, { VisibilityTimeout: "44" });

    const { driver, log, delivery } = await server.consumer({
      queue,
      config: { attributes: { VisibilityTimeout: 55 } },
    });
    await driver.push(aJob({ payload: bytesOf("x") }));
    await (await delivery()).settle(ACK);

    expect(await server.attributes(queue)).toMatchObject({ VisibilityTimeout: "44" });
    const records = log.records.filter(({ message }) => message.startsWith("queue exists with other attributes"));
    expect(records.map(({ fields }) => fields["differences"])).toEqual([
      ["VisibilityTimeout: configured 55, the queue has 44"],
    ]);
  });

  test("[SQS-26] is not created where that is switched off: the pipeline can not be declared", async () => {
    const failure = server.pipeline({ config: { skip_queue_declaration: true } });

    await expect(failure).rejects.toMatchObject({
      code: "JOBS_PIPELINE_INVALID",
      message: expect.stringContaining("skip_queue_declaration") as unknown,
    });
    expect(proxy.of("CreateQueue")).toEqual([]);
  });

  test("is used as it is where its declaration is switched off", async () => {
    const queue = uniqueName("there");
    await server.createQueue(queue);
    proxy.requests.length = 0;

    const { driver, delivery } = await server.consumer({ queue, config: { skip_queue_declaration: true } });
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    expect((await delivery()).job.id).toBe("a");
    expect(proxy.of("CreateQueue")).toEqual([]);
  });

  test("is found where it may not be created", async () => {
    const queue = uniqueName("denied");
    await server.createQueue(queue);
    proxy.fault("CreateQueue", awsError(403, "AccessDenied"));

    const { driver, log } = await server.pipeline({ queue });
    await driver.push(aJob({ payload: bytesOf("x") }));

    expect(log.messages("warn")).toContain("queue may not be created with these credentials, the existing one is used");
  });

  test("[SQS-27] is created again when it was deleted, and consuming goes on", async () => {
    const { driver, queue, delivery, metrics } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    await (await delivery()).settle(ACK);

    await server.deleteQueue(queue);
    await eventually(() => proxy.of("CreateQueue").length > 1, "the second declaration");
    await driver.push(aJob({ id: "b", payload: bytesOf("x") }));

    expect((await delivery(1)).job.id).toBe("b");
    expect(driver.link).toEqual({ t: "ready" });
    expect(metrics.linesOf("redialed")).toEqual(["redialed mails sqs"]);
  });

  test("[SQS-27] is waited for, quietly, when it was deleted and may not be created", async () => {
    const queue = uniqueName("gone");
    await server.createQueue(queue);
    const { driver, delivery, log } = await server.consumer({ queue, config: { skip_queue_declaration: true } });
    await eventually(() => proxy.of("ReceiveMessage").length > 0, "a poll");

    await server.deleteQueue(queue);
    await eventually(() => driver.link.t === "degraded", "the loss");
    await eventually(() => proxy.of("GetQueueUrl").length > 3, "some tries");
    const warnings = log.messages("warn").length;
    await server.createQueue(queue);
    await server.send(queue, { MessageBody: "back" });

    expect((await delivery()).job.name).toBe("deduced_by_rr");
    expect(driver.link).toEqual({ t: "ready" });
    expect(warnings).toBeLessThanOrEqual(3);
  });

  test("is declared in the background when the service is away at the start", async () => {
    await proxy.shut();
    const { driver, delivery, queue } = await server.pipeline();
    const resumed = driver.resume(AbortSignal.timeout(20_000));
    const before = driver.link;

    await proxy.open();
    await resumed;
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    expect(before).toMatchObject({ t: "degraded", reason: expect.stringContaining("ECONNREFUSED") as unknown });
    expect((await delivery()).job.id).toBe("a");
    expect(driver.link).toEqual({ t: "ready" });
    expect(driver.queue).toContain(queue);
  });

  test("[SQS-41] is reached at the endpoint, whatever host its URL names", async () => {
    const elsewhere = {
      t: "edit" as const,
      edit: (answer: Record<string, unknown>) => ({
        QueueUrl: String(answer["QueueUrl"]).replace(/^http:\/\/[^/]+/, "http://sqs.us-west-1.nowhere.invalid"),
      }),
    };
    proxy.fault("CreateQueue", elsewhere);

    const { driver, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    await (await delivery()).settle(ACK);

    expect((await delivery()).job.id).toBe("a");
    expect(driver.queue).toMatch(/^http:\/\/sqs\.us-west-1\.nowhere\.invalid\//);
  });

  test("can not be used with credentials the service refuses, and the error says what to check", async () => {
    proxy.fault("CreateQueue", awsError(403, "InvalidClientTokenId", "The security token is invalid"));

    await expect(server.pipeline()).rejects.toMatchObject({
      code: "JOBS_PIPELINE_INVALID",
      message: expect.stringContaining("check key, secret and session_token") as unknown,
    });
  });

  describe("a queue that is first-in-first-out", () => {
    const fifo = (): { queue: string; config: Record<string, unknown> } => ({
      queue: `${uniqueName("order")}.fifo`,
      config: { message_group_id: "g", max_messages_in_flight: 20 },
    });

    test("[SQS-15] has its jobs run in order, one of a group at a time", async () => {
      const { driver, sink, queue } = await server.consumer(fifo());
      const order: string[] = [];
      let running = 0;
      let most = 0;
      sink.onDeliver = ({ delivery }) => {
        order.push(delivery.job.id);
        running += 1;
        most = Math.max(most, running);
        setTimeout(() => {
          running -= 1;
          void delivery.settle(ACK);
        }, 10);
      };

      const jobs = Array.from({ length: 25 }, (_, n) => aJob({ id: `j${n}`, payload: bytesOf("x") }));
      expect(await driver.pushBatch(jobs)).toEqual([]);
      await server.emptied(queue);

      expect(order).toEqual(jobs.map(({ id }) => id));
      expect(most).toBe(1);
    });

    test("[SQS-15] stores the same id once, and its requeue again", async () => {
      const { driver, sink, queue, delivery } = await server.consumer(fifo());
      await driver.push(aJob({ id: "same", payload: bytesOf("x") }));
      await driver.push(aJob({ id: "same", payload: bytesOf("x") }));
      const first = await delivery();

      await first.settle({ t: "requeue", headers: { again: ["1"] }, delayMs: 0 });
      const again = await delivery(1);
      await again.settle(ACK);
      await server.emptied(queue);

      expect(again.job).toMatchObject({ id: "same", headers: { again: ["1"] } });
      expect(sink.entries).toHaveLength(2);
    });

    test("takes an id that can not be a deduplication id", async () => {
      const { driver, delivery } = await server.consumer(fifo());

      await driver.push(aJob({ id: "ид-ß-日本-\u{1f642}", payload: bytesOf("x") }));

      expect((await delivery()).job.id).toBe("ид-ß-日本-\u{1f642}");
    });

    test("[SQS-17] gets no delay with a message; its group is held until the job is due, and that is told once", async () => {
      const { driver, log, delivery, sink } = await server.consumer(fifo());
      const pushedAt = Date.now();

      await driver.push(aJob({ id: "late", payload: bytesOf("x"), delaySec: 3 }));
      await driver.push(aJob({ id: "late too", payload: bytesOf("x"), delaySec: 1 }));
      await (await delivery()).settle(ACK);
      const dueAt = Date.now();
      await (await delivery(1)).settle(ACK);

      for (const { body } of proxy.of("SendMessage")) expect(Object.keys(body)).not.toContain("DelaySeconds");
      expect(dueAt - pushedAt).toBeGreaterThan(2_900);
      expect(sink.jobIds).toEqual(["late", "late too"]);
      expect(
        log.messages("warn").filter((text) => text.startsWith("a first-in-first-out queue has no delay")),
      ).toHaveLength(1);
    });

    test("keeps its order when a job fails and is tried again", async () => {
      const { driver, sink, queue } = await server.consumer(fifo());
      let failed = false;
      sink.onDeliver = ({ delivery }) => {
        const { job } = delivery;
        if (job.id === "j1" && !failed) {
          failed = true;
          void delivery.settle({ t: "retry", headers: job.headers, delayMs: 1000 });
        } else void delivery.settle(ACK);
      };

      await driver.pushBatch([0, 1, 2, 3].map((n) => aJob({ id: `j${n}`, payload: bytesOf("x") })));
      await server.emptied(queue);

      expect(sink.jobIds).toEqual(["j0", "j1", "j1", "j2", "j3"]);
    });

    test("keeps its order when a job is requeued with a delay, and the changed headers", async () => {
      const { driver, sink, queue } = await server.consumer(fifo());
      sink.onDeliver = ({ delivery }) => {
        const { job } = delivery;
        const again = job.id === "j0" && job.headers["n"] === undefined;
        void delivery.settle(again ? { t: "requeue", headers: { n: ["1"] }, delayMs: 1000 } : ACK);
      };

      await driver.pushBatch([0, 1, 2].map((n) => aJob({ id: `j${n}`, payload: bytesOf("x") })));
      await server.emptied(queue);

      expect(sink.jobIds).toEqual(["j0", "j0", "j1", "j2"]);
      expect(sink.at(1).job.headers["n"]).toEqual(["1"]);
    });
  });
});
