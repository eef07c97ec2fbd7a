import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { ACK, type Delivery, NACK, RELEASE } from "../../../src/domain/delivery.ts";
import { toHeaders } from "../../../src/domain/job-headers.ts";
import { Job, type JobFields } from "../../../src/domain/job.ts";
import type { BeanstalkPeer } from "../../support/beanstalk-peer.ts";
import { describeWithBroker } from "../../support/brokers.ts";
import { BeanstalkCodec } from "../../../src/adapters/beanstalk/beanstalk-message.ts";
import { BeanstalkServer, eventually } from "./beanstalk-fixture.ts";

jest.setTimeout(60_000);

function aJob(fields: Partial<JobFields> = {}): Job {
  return new Job({
    id: "id-1",
    name: "app.Job",
    pipeline: "mails",
    payload: Buffer.from("x"),
    priority: 10,
    ...fields,
  });
}

function jobs(count: number): readonly Job[] {
  return Array.from({ length: count }, (_value, index) => aJob({ id: `id-${index}` }));
}

async function settle(delivery: Delivery, settlement: Parameters<Delivery["settle"]>[0]): Promise<void> {
  await delivery.settle(settlement);
}

describeWithBroker("beanstalk", "pipelines on a tube", (broker) => {
  let server: BeanstalkServer;
  let peer: BeanstalkPeer;

  beforeEach(async () => {
    server = new BeanstalkServer(broker.address);
    peer = await server.peer();
  });

  afterEach(() => server.dispose());

  test("a pushed job is in the tube with the pipeline's priority, delay and time to run", async () => {
    const { driver, tube } = await server.pipeline({ config: { tube_priority: 7, ttr: "33s" } });

    await driver.push(aJob({ delaySec: 100 }));

    const { words, body } = await peer.expect("FOUND", `peek-delayed`).catch(async () => {
      await peer.expect("USING", `use ${tube}`);
      return peer.expect("FOUND", "peek-delayed");
    });
    const stats = await peer.stats(`stats-job ${words[1] ?? ""}`);
    expect([stats["pri"], stats["delay"], stats["ttr"], stats["state"]]).toEqual(["7", "100", "33", "delayed"]);
    expect(new BeanstalkCodec().decode(body)?.ident).toBe("id-1");
  });

  test("what was pushed is delivered with every field, and gone when it is acknowledged", async () => {
    const { driver, delivery, tube, sink } = await server.consumer();
    const headers = toHeaders([
      ["a", ["1", "2"]],
      ["X-Ключ", ["é"]],
      ["e", []],
    ]);
    const pushed = aJob({ headers, priority: 3, payload: Buffer.from([0, 13, 10, 255]) });

    await driver.push(pushed);

    const { job, queue } = await delivery();
    expect(JSON.parse(JSON.stringify(job))).toEqual(JSON.parse(JSON.stringify(pushed)));
    expect([queue, sink.entries[0]?.priority]).toEqual([tube, 3]);
    await settle(await delivery(), ACK);
    await eventually(async () => {
      const { ready, reserved } = await peer.counts(tube);
      return ready + reserved === 0;
    }, "an empty tube");
  });

  test("a batch keeps its order, whatever its length", async () => {
    const { driver, tube } = await server.pipeline();
    const batch = jobs(600);

    expect(await driver.pushBatch(batch)).toEqual([]);

    const codec = new BeanstalkCodec();
    const found: (string | undefined)[] = [];
    for (let body = await peer.take(tube); body !== undefined; body = await peer.take(tube)) {
      found.push(codec.decode(body)?.ident);
    }
    expect(found).toEqual(batch.map(({ id }) => id));
  });

  test("a burst of jobs is consumed once each, with several connections", async () => {
    const { driver, sink, tube } = await server.consumer({ config: { prefetch: 20 } });
    sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);

    await driver.pushBatch(jobs(1000));

    await eventually(() => sink.entries.length >= 1000, "1000 deliveries");
    expect(new Set(sink.jobIds).size).toBe(1000);
    await eventually(async () => Object.values(await peer.counts(tube)).every((count) => count === 0), "an empty tube");
    expect(sink.entries.length).toBe(1000);
  });

  test("a retry comes back after its delay, with its own priority and the same identity", async () => {
    const { driver, delivery, tube } = await server.consumer({ config: { tube_priority: 5 } });
    await driver.push(aJob());
    const first = await delivery();

    await settle(first, { t: "retry", headers: first.job.headers, delayMs: 800 });

    const stats = await peer.counts(tube);
    const second = await delivery(1);
    expect([stats.delayed, second.job.id, second.identity]).toEqual([1, "id-1", first.identity]);
    await settle(second, ACK);
  });

  test("a released job is back in the tube at once", async () => {
    const { driver, delivery, pause, tube } = await pausable(server);
    await driver.push(aJob());
    const first = await delivery();

    await pause();
    await settle(first, RELEASE);

    expect(await peer.counts(tube)).toEqual({ ready: 1, reserved: 0, delayed: 0, buried: 0 });
  });

  test("a requeue with other headers is a copy with them", async () => {
    const { driver, delivery, tube } = await server.consumer();
    await driver.push(aJob());

    await settle(await delivery(), { t: "requeue", headers: toHeaders([["a", ["2"]]]), delayMs: 0 });

    const second = await delivery(1);
    expect(second.job.headers).toEqual(toHeaders([["a", ["2"]]]));
    await settle(second, ACK);
    await eventually(async () => Object.values(await peer.counts(tube)).every((count) => count === 0), "an empty tube");
  });

  test("a dead job is buried, and runs again when it is kicked", async () => {
    const { driver, delivery, tube } = await server.consumer();
    await driver.push(aJob());
    const letter = { reason: "nack", error: "no", attempts: 0, answer: undefined } as const;

    await settle(await delivery(), { t: "dead", letter });

    expect((await peer.counts(tube)).buried).toBe(1);
    await peer.expect("USING", `use ${tube}`);
    await peer.expect("KICKED", "kick 10");
    const again = await delivery(1);
    expect(again.job.id).toBe("id-1");
    await settle(again, ACK);
  });

  test("a negative acknowledgement deletes, as RoadRunner's does", async () => {
    const { driver, delivery, tube } = await server.consumer();
    await driver.push(aJob());

    await settle(await delivery(), NACK);

    expect(await peer.counts(tube)).toEqual({ ready: 0, reserved: 0, delayed: 0, buried: 0 });
  });
});

async function pausable(server: BeanstalkServer): Promise<{
  driver: Awaited<ReturnType<BeanstalkServer["consumer"]>>["driver"];
  delivery: Awaited<ReturnType<BeanstalkServer["consumer"]>>["delivery"];
  pause: () => Promise<void>;
  tube: string;
}> {
  const pipeline = await server.consumer();
  const { driver, delivery, tube } = pipeline;
  return { driver, delivery, tube, pause: () => pipeline.pause() };
}
