import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ACK, RELEASE } from "../../../src/domain/delivery.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { describeWithBroker } from "../../support/brokers.ts";
import { bytesOf, SqsServer, textOf } from "./sqs-fixture.ts";

describeWithBroker("sqs", "an SQS pipeline", ({ address }) => {
  let server: SqsServer;

  beforeEach(() => {
    server = new SqsServer(address);
  });

  afterEach(async () => {
    await server.close();
  });

  test("[SQS-2] stores a job as its payload and exactly the six attributes of RoadRunner", async () => {
    const { driver, queue } = await server.pipeline();

    await driver.push(
      aJob({ id: "a", payload: bytesOf('{"a":1}'), headers: toHeaders([["x", ["1", "2"]]]), priority: 3 }),
    );

    const [message] = await server.receive(queue);
    expect(message?.Body).toBe('{"a":1}');
    expect(message?.MessageAttributes).toEqual({
      rr_id: { DataType: "String", StringValue: "a" },
      rr_job: { DataType: "String", StringValue: "app.Job" },
      rr_delay: { DataType: "String", StringValue: "0" },
      rr_headers: { DataType: "Binary", BinaryValue: bytesOf('{"x":["1","2"]}') },
      rr_priority: { DataType: "Number", StringValue: "3" },
      rr_auto_ack: { DataType: "String", StringValue: "false" },
    });
  });

  test("hands over what was pushed and deletes it when it is acknowledged", async () => {
    const { driver, queue, sink, delivery } = await server.consumer();

    await driver.push(aJob({ id: "a", payload: bytesOf("body"), headers: toHeaders([["k", ["v"]]]), priority: 4 }));
    const received = await delivery();
    await received.settle(ACK);

    expect(received.job).toMatchObject({ id: "a", name: "app.Job", pipeline: "mails", priority: 4, autoAck: false });
    expect(received.job.headers).toMatchObject({ k: ["v"], ApproximateReceiveCount: ["1"] });
    expect(textOf(received)).toBe("body");
    expect(received.queue).toBe(queue);
    expect(sink.entries[0]?.priority).toBe(4);
    await server.emptied(queue);
  });

  test("pushes many in order of their batch and consumes all of them once", async () => {
    const { driver, queue, sink } = await server.consumer({ config: { max_messages_in_flight: 100 } });
    const jobs = Array.from({ length: 137 }, (_, index) => aJob({ id: `j${index}`, payload: bytesOf(`p${index}`) }));
    sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

    const failures = await driver.pushBatch(jobs);

    expect(failures).toEqual([]);
    await server.emptied(queue);
    expect([...sink.jobIds].sort()).toEqual(jobs.map(({ id }) => id).sort());
  });

  test("gives a released job back at once", async () => {
    const { driver, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));

    await (await delivery()).settle(RELEASE);

    const again = await delivery(1);
    expect(again.job.id).toBe("a");
    expect(again.deliveries).toBe(2);
    await again.settle(ACK);
  });

  test("runs a failed job again after its delay, as the same message", async () => {
    const { driver, delivery } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x") }));
    const first = await delivery();
    const at = performance.now();

    await first.settle({ t: "retry", headers: first.job.headers, delayMs: 1500 });

    const again = await delivery(1);
    expect(again.identity).toBe(first.identity);
    expect(performance.now() - at).toBeGreaterThanOrEqual(1900);
    await again.settle(ACK);
  });

  test("replaces a job that was requeued with other headers by a copy", async () => {
    const { driver, delivery, queue } = await server.consumer();
    await driver.push(aJob({ id: "a", payload: bytesOf("x"), headers: toHeaders([["n", ["1"]]]), priority: 7 }));
    const first = await delivery();

    await first.settle({
      t: "requeue",
      headers: toHeaders([...Object.entries(first.job.headers), ["n", ["2"]]]),
      delayMs: 0,
    });

    const again = await delivery(1);
    expect(again.identity).not.toBe(first.identity);
    expect(again.deliveries).toBe(1);
    expect(again.job).toMatchObject({ id: "a", priority: 7, headers: { n: ["2"], ApproximateReceiveCount: ["1"] } });
    await again.settle(ACK);
    await server.emptied(queue);
  });
});
