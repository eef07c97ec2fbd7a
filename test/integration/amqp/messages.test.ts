import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { AmqpBench, eventually, UNTIL_DONE } from "../../support/amqp.ts";
import { describeWithBroker } from "../../support/brokers.ts";

describeWithBroker("amqp", "messages of an AMQP pipeline", ({ address }) => {
  let bench: AmqpBench;
  beforeEach(() => {
    bench = new AmqpBench(address);
  });
  afterEach(() => bench.close());

  test("[AMQP-8] the figures count what waits and what is not due, and are zero when all is done", async () => {
    const names = bench.names();
    const { driver, sink } = await bench.pipeline(names);

    await driver.push(aJob());
    await driver.push(aJob({ delaySec: 2 }));
    const before = await driver.stats(UNTIL_DONE);
    sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
    await driver.resume(UNTIL_DONE);
    await eventually("both jobs", () => sink.entries.length === 2);
    await eventually("all zero", async () => {
      const { active, delayed, reserved } = await driver.stats(UNTIL_DONE);
      return active === 0 && delayed === 0 && reserved === 0;
    });

    expect(before).toEqual({ active: 1, delayed: 1, reserved: 0 });
  });

  test("[AMQP-9] delayed jobs of two pipelines on one exchange run once each, and not early", async () => {
    const names = bench.names();
    const a = await bench.pipeline(names, { pipeline: "a" });
    const b = await bench.pipeline({ ...bench.names(), exchange: names.exchange }, { pipeline: "b" });
    const arrivals: number[] = [];
    for (const { driver, sink } of [a, b]) {
      sink.onDeliver = ({ delivery }) => {
        arrivals.push(Date.now());
        void delivery.settle(ACK);
      };
      await driver.resume(UNTIL_DONE);
    }
    const startedAt = Date.now();

    await a.driver.push(aJob({ id: "of-a", delaySec: 2 }));
    await b.driver.push(aJob({ id: "of-b", delaySec: 2 }));
    await eventually("both jobs", () => arrivals.length >= 2);

    expect(Math.min(...arrivals) - startedAt).toBeGreaterThanOrEqual(2000);
    expect([a.sink.jobIds, b.sink.jobIds]).toEqual([["of-a"], ["of-b"]]);
  });

  test("[AMQP-13] foreign messages are executed, whatever their headers are", async () => {
    const names = bench.names();
    const { driver, sink } = await bench.pipeline(names);
    const channel = await (await bench.client()).createConfirmChannel();
    const broken = { rr_id: "b", rr_headers: Buffer.from("{broken"), rr_delay: "soon", rr_priority: true };
    channel.publish(names.exchange, names.routing_key, Buffer.from("foreign"), { headers: { foo: 2.3 } });
    channel.publish(names.exchange, names.routing_key, Buffer.from("broken"), { headers: broken });
    channel.publish(names.exchange, names.routing_key, Buffer.from("named"), { messageId: "m-1" });
    await channel.waitForConfirms();

    await driver.resume(UNTIL_DONE);
    await eventually("three jobs", () => sink.entries.length === 3);

    const [foreign, second, named] = sink.entries.map(({ delivery }) => delivery.job);
    expect(foreign).toMatchObject({ name: "deduced_by_rr", pipeline: "mails", priority: 10 });
    expect(foreign?.id).toMatch(/^[\da-f-]{36}$/);
    expect({ ...foreign?.headers }).toEqual({ foo: ["2.30000"] });
    expect(second).toMatchObject({ id: "b", delaySec: 0, priority: 10 });
    expect(named?.id).toBe("m-1");
    expect([...bench.log.messages("warn")].sort()).toEqual([
      "failed to unmarshal headers (should be JSON), continuing execution",
      "unknown delay type",
      "unknown priority type",
    ]);
  });

  test.each(["direct", "fanout", "topic", "headers"])(
    "[AMQP-32] a delayed job of a %s exchange runs once and not early, beside plain ones",
    async (type) => {
      const names = { ...bench.names(), exchange_type: type, ...(type === "topic" ? { routing_key: "#" } : {}) };
      const { driver, sink } = await bench.pipeline(names);
      const arrivals = new Map<string, number>();
      sink.onDeliver = ({ delivery }) => {
        arrivals.set(delivery.job.id, Date.now());
        void delivery.settle(ACK);
      };
      await driver.resume(UNTIL_DONE);
      const startedAt = Date.now();

      await driver.push(aJob({ id: "delayed", delaySec: 1 }));
      await driver.push(aJob({ id: "plain" }));
      await eventually("both jobs", () => arrivals.size === 2);
      await driver.push(aJob({ id: "last" }));
      await eventually("the last", () => arrivals.size === 3);

      expect(sink.jobIds).toEqual(["plain", "delayed", "last"]);
      expect((arrivals.get("delayed") ?? 0) - startedAt).toBeGreaterThanOrEqual(1000);
    },
  );

  test("[AMQP-32] a delay queue a peer bound to the exchange doubles its own copies only", async () => {
    const names = { ...bench.names(), exchange_type: "fanout" };
    const { driver, sink } = await bench.pipeline(names);
    const peer = await bench.pipeline({ ...names, delay_strategy: "rr" });
    sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
    await driver.resume(UNTIL_DONE);

    await peer.driver.push(aJob({ id: "of-the-peer", delaySec: 1 }));
    await driver.push(aJob({ id: "ours", delaySec: 1 }));
    await eventually("the peer's copies", () => sink.jobIds.filter((id) => id === "of-the-peer").length === 2);
    await eventually("ours", () => sink.jobIds.includes("ours"));

    expect(sink.jobIds.filter((id) => id === "ours")).toEqual(["ours"]);
  });

  test("[AMQP-33] two routing keys with one delay are two queues, and both jobs arrive", async () => {
    const names = bench.names();
    const other = bench.names();
    const a = await bench.pipeline(names);
    const b = await bench.pipeline({ ...other, exchange: names.exchange });
    await a.driver.resume(UNTIL_DONE);
    await b.driver.resume(UNTIL_DONE);

    const failures = await a.driver.pushBatch([
      aJob({ id: "own", delaySec: 1 }),
      aJob({ id: "other", delaySec: 1, headers: { "x-routing-key": [other.routing_key] } }),
    ]);
    await eventually("both jobs", () => a.sink.entries.length + b.sink.entries.length === 2);

    expect(failures).toEqual([]);
    expect([a.sink.jobIds, b.sink.jobIds]).toEqual([["own"], ["other"]]);
  });

  test("[AMQP-34] a delay the broker can not keep is refused, and the channel survives", async () => {
    const { driver, sink } = await bench.pipeline(bench.names());
    await driver.resume(UNTIL_DONE);

    const failures = await driver.pushBatch([
      aJob({ id: "now", delaySec: 0 }),
      aJob({ id: "never", delaySec: 200_000_000 }),
      aJob({ id: "negative", delaySec: -1 }),
    ]);
    await eventually("the others", () => sink.entries.length === 2);

    expect(failures).toMatchObject([{ index: 1, unknown: false, error: { code: "JOBS_JOB_INVALID" } }]);
    expect(failures[0]?.error.message).toContain("at most 157680000 s");
    expect(sink.jobIds).toEqual(["now", "negative"]);
    expect(bench.metrics.linesOf("redialed")).toEqual([]);
  });

  test("[AMQP-37] jobs that end out of order are acknowledged alone, and none that runs with them", async () => {
    const names = bench.names();
    const { driver, sink } = await bench.pipeline({ ...names, multiple_ack: true, prefetch: 50 });
    await driver.pushBatch(Array.from({ length: 40 }, (_, n) => aJob({ id: `n-${n}` })));
    await driver.resume(UNTIL_DONE);
    await eventually("all jobs", () => sink.entries.length === 40);
    const running = [0, 7, 8, 31];

    // Four workers that take turns: a shuffle that leaves four jobs running.
    for (const [index] of [...sink.entries.entries()].sort((a, b) => ((a[0] * 7) % 40) - ((b[0] * 7) % 40))) {
      if (!running.includes(index)) await sink.at(index).settle(ACK);
      if (index % 5 === 0) await new Promise(setImmediate);
    }
    await eventually("36 settled", async () => (await driver.stats(UNTIL_DONE)).reserved === 4);
    await driver.close(AbortSignal.timeout(5000));

    expect(await bench.depth(names.queue)).toBe(4);
    const left = [await bench.get(names.queue), await bench.get(names.queue)];
    expect(left.map((message) => String(message?.properties.headers?.["rr_id"]))).toEqual(["n-0", "n-7"]);
    expect(bench.metrics.linesOf("consumerRestarted")).toEqual([]);
  });

  test.each([0, 1, 65_536, 20 * 2 ** 20])("[AMQP-39] a payload of %i bytes arrives as it was", async (bytes) => {
    const { driver, sink } = await bench.pipeline(bench.names());
    const payload = Buffer.alloc(bytes);
    for (let offset = 0; offset < bytes; offset++) payload[offset] = (offset * 167) & 0xff;
    await driver.resume(UNTIL_DONE);

    await driver.push(aJob({ payload }));
    await eventually("the job", () => sink.entries.length === 1);

    expect(Buffer.from(sink.at(0).job.payload).equals(payload)).toBe(true);
  });

  test("[AMQP-39] headers up to 59 KiB arrive as they were, larger ones are refused and cost nothing", async () => {
    const { driver, sink } = await bench.pipeline(bench.names());
    const headers = { "Ключ ☃": ["é", "𝄞"], none: [], big: ["x".repeat(58 * 1024)] };
    await driver.resume(UNTIL_DONE);

    await driver.push(aJob({ headers }));
    await expect(driver.push(aJob({ headers: { big: ["x".repeat(70 * 1024)] } }))).rejects.toThrow(
      "put large data into the payload",
    );
    await driver.push(aJob({ id: "after" }));
    await eventually("two jobs", () => sink.entries.length === 2);

    expect(sink.at(0).job.headers).toMatchObject(headers);
    expect(driver.link.t).toBe("ready");
    expect(bench.metrics.linesOf("redialed")).toEqual([]);
  });
});
