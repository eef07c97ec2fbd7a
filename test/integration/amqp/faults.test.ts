import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { ACK } from "../../../src/domain/delivery.ts";
import { JobsError } from "../../../src/domain/errors.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { AmqpBench, type BenchPipeline, eventually, UNTIL_DONE } from "../../support/amqp.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker } from "../../support/brokers.ts";
import { TcpProxy } from "../../support/tcp-proxy.ts";

const LONG_MS = 300_000;

/** Acknowledges whatever comes. */
async function consumeAll({ driver, sink }: BenchPipeline): Promise<void> {
  sink.onDeliver = ({ delivery }) => void delivery.settle(ACK)?.catch(() => undefined);
  await driver.resume(UNTIL_DONE);
}

/** Until it is taken, as a producer would that must not lose the job. */
async function pushUntilTaken({ driver }: BenchPipeline, id: string): Promise<void> {
  await eventually(`push of ${id}`, async () => {
    try {
      await driver.push(aJob({ id }));
      return true;
    } catch (error) {
      if (JobsError.is(error) && error.retryable) return false;
      throw error;
    }
  });
}

describeWithPrivateBroker("amqp", "an AMQP pipeline and the faults of its broker", () => {
  let broker: PrivateBroker;
  let bench: AmqpBench;
  let proxy: TcpProxy | undefined;
  beforeAll(async () => {
    broker = await startPrivateBroker("amqp");
    await broker.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 1000).");
  }, LONG_MS);
  afterEach(async () => {
    proxy?.restore();
    await bench.close();
    await proxy?.close();
    proxy = undefined;
  }, LONG_MS);
  afterAll(() => broker.dispose(), LONG_MS);

  /** Drivers behind a proxy, the plain client past it. */
  async function throughProxy(query = ""): Promise<TcpProxy> {
    proxy = await TcpProxy.listen(broker.address);
    bench = new AmqpBench(broker.address, { addr: `${proxy.through(broker.address)}/${query}` });
    return proxy;
  }

  test.each([
    ["[AMQP-22]", "durable", true],
    ["[AMQP-23]", "not durable", false],
  ])(
    "%s a pipeline with a queue that is %s goes on after its broker was stopped and started",
    async (_id, _text, durable) => {
      bench = new AmqpBench(broker.address);
      const pipeline = await bench.pipeline({ ...bench.names(), durable, exchange_durable: durable, prefetch: 5 });
      const ids = Array.from({ length: 50 }, (_, n) => `n-${n}`);
      expect(await pipeline.driver.pushBatch(ids.map((id) => aJob({ id })))).toEqual([]);
      if (!durable) {
        await consumeAll(pipeline);
        await eventually("the jobs", () => pipeline.sink.entries.length === 50);
      }

      await broker.stop();
      await eventually("the loss", () => pipeline.driver.link.t !== "ready");
      await broker.start();
      if (durable) await consumeAll(pipeline);
      await pushUntilTaken(pipeline, "after");
      await eventually("all jobs", () => new Set(pipeline.sink.jobIds).size === 51);

      expect(pipeline.driver.link.t).toBe("ready");
    },
    LONG_MS,
  );

  test(
    "[AMQP-24] jobs that ended do not run again when all connections were closed, running ones do",
    async () => {
      bench = new AmqpBench(broker.address);
      const pipeline = await bench.pipeline({ ...bench.names(), durable: true, exchange_durable: true });
      const { driver, sink } = pipeline;
      await driver.pushBatch(Array.from({ length: 10 }, (_, n) => aJob({ id: `n-${n}` })));
      await driver.resume(UNTIL_DONE);
      await eventually("ten jobs", () => sink.entries.length === 10);
      const running = sink.entries.slice(0, 10).map(({ delivery }) => delivery);

      await broker.ctl("close_all_connections", "test");
      await eventually("the loss", () => running.every(({ stale }) => stale === true));
      // Eight end before their redelivery, two go on running.
      for (const delivery of running.slice(0, 8)) {
        await expect(delivery.settle(ACK)).rejects.toMatchObject({ code: "JOBS_DRIVER_STALE_DELIVERY" });
      }
      await eventually("the others again", () => sink.entries.length >= 12);
      await pushUntilTaken(pipeline, "last");
      await eventually("the last job", () => sink.jobIds.includes("last"));

      expect([...sink.jobIds.slice(10)].sort()).toEqual(["last", "n-8", "n-9"]);
    },
    LONG_MS,
  );

  test(
    "[AMQP-25] a connection that breaks between push and confirm leaves the push unconfirmed, and says so",
    async () => {
      const wire = await throughProxy();
      const { driver } = await bench.pipeline(bench.names());
      await driver.push(aJob());
      wire.stall();

      const pushed = driver.push(aJob());
      await new Promise(setImmediate);
      wire.cut();

      await expect(pushed).rejects.toMatchObject({ code: "JOBS_PUSH_UNCONFIRMED" });
      await expect(pushed).rejects.toThrow("may or may not have been stored");
      wire.restore();
      await eventually("the link", () => driver.link.t === "ready");
    },
    LONG_MS,
  );

  test(
    "[AMQP-27] after an outage longer than redial_timeout a pipeline fails fast, then is back by itself",
    async () => {
      const wire = await throughProxy();
      const pipeline = await bench.pipeline({ ...bench.names(), redial_timeout: 1 });
      await consumeAll(pipeline);

      wire.refuse();
      await eventually("degraded", () => pipeline.driver.link.t === "degraded");
      const startedAt = Date.now();
      await expect(pipeline.driver.push(aJob())).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });
      const tookMs = Date.now() - startedAt;
      wire.restore();
      await pushUntilTaken(pipeline, "back");
      await eventually("the job", () => pipeline.sink.jobIds.includes("back"));

      expect(tookMs).toBeLessThan(5000);
      expect(pipeline.driver.link.t).toBe("ready");
    },
    LONG_MS,
  );

  test(
    "[AMQP-28] an outage changes nothing of what was asked for, and a pipeline can be closed during one",
    async () => {
      const wire = await throughProxy();
      const paused = await bench.pipeline(bench.names());
      const late = await bench.pipeline(bench.names());
      const consuming = await bench.pipeline(bench.names());
      const closed = await bench.pipeline({ ...bench.names(), delete_queue_on_stop: true });
      for (const pipeline of [paused, late, consuming, closed]) await consumeAll(pipeline);
      await paused.driver.pause(UNTIL_DONE);

      wire.refuse();
      await eventually("the loss", () => consuming.driver.link.t !== "ready");
      await late.driver.pause(UNTIL_DONE);
      const startedAt = Date.now();
      await closed.driver.close(AbortSignal.timeout(20_000));
      const tookMs = Date.now() - startedAt;
      wire.restore();
      for (const pipeline of [paused, late, consuming]) await pushUntilTaken(pipeline, "after");
      await eventually("the job", () => consuming.sink.jobIds.includes("after"));

      expect(tookMs).toBeLessThan(10_000);
      expect([paused.sink.entries, late.sink.entries]).toEqual([[], []]);
      expect(await paused.driver.stats(UNTIL_DONE)).toMatchObject({ active: 1 });
    },
    LONG_MS,
  );

  test(
    "[AMQP-18] a consumer whose job ran into the broker's consumer timeout comes back by itself",
    async () => {
      await broker.ctl("eval", "application:set_env(rabbit, consumer_timeout, 2000).");
      // Channels look at the time of their deliveries once a minute otherwise.
      await broker.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 1000).");
      bench = new AmqpBench(broker.address);
      const { driver, sink } = await bench.pipeline({ ...bench.names(), durable: true, exchange_durable: true });
      const other = await bench.pipeline(bench.names());
      await consumeAll(other);
      await driver.push(aJob({ id: "long" }));
      await driver.resume(UNTIL_DONE);
      await eventually("the job", () => sink.entries.length === 1);

      await eventually("the job again", () => sink.entries.length === 2, 120_000);
      await expect(sink.at(0).settle({ t: "retry", headers: {}, delayMs: 0 })).rejects.toMatchObject({
        code: "JOBS_DRIVER_STALE_DELIVERY",
      });
      await sink.at(1).settle(ACK);
      await other.driver.push(aJob());
      await eventually("the other pipeline", () => other.sink.entries.length === 1);
      await broker.ctl("eval", "application:set_env(rabbit, consumer_timeout, 1800000).");
      await broker.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 60000).");

      expect(bench.metrics.linesOf("consumerRestarted")).toEqual(["consumerRestarted mails"]);
    },
    LONG_MS,
  );

  test(
    "[AMQP-38] a queue that was deleted is declared again and consumed from",
    async () => {
      bench = new AmqpBench(broker.address);
      const names = bench.names();
      const pipeline = await bench.pipeline(names);
      await consumeAll(pipeline);

      await (await (await bench.client()).createChannel()).deleteQueue(names.queue);
      await eventually("the consumer", () => bench.metrics.linesOf("consumerRestarted").length === 1);
      await pipeline.driver.push(aJob());
      await eventually("the job", () => pipeline.sink.entries.length === 1);

      expect(pipeline.driver.link.t).toBe("ready");
    },
    LONG_MS,
  );

  test(
    "[AMQP-16] a user without permission to declare consumes if nothing is declared, and is refused else",
    async () => {
      bench = new AmqpBench(broker.address);
      const names = bench.names();
      await bench.pipeline(names);
      await broker.ctl("add_user", "reader", "secret");
      await broker.ctl("set_permissions", "reader", "^$", ".*", ".*");
      const own = bench;
      bench = new AmqpBench(broker.address, { addr: broker.address.replace("guest:guest", "reader:secret") });
      const pipeline = await bench.pipeline({ ...names, exchange_declare: false, queue_declare: false });

      await consumeAll(pipeline);
      await pipeline.driver.push(aJob());
      await eventually("the job", () => pipeline.sink.entries.length === 1);
      await expect(bench.pipeline(names)).rejects.toThrow("ACCESS_REFUSED");
      await own.close();
    },
    LONG_MS,
  );

  test.each([
    ["password", "guest:wrong@", "ACCESS_REFUSED"],
    ["virtual host", "", 'virtual host "nowhere": it does not exist'],
  ])(
    "a wrong %s is told when the pipeline is built",
    async (what, credentials, text) => {
      const address =
        what === "password" ? broker.address.replace("guest:guest@", credentials) : `${broker.address}/nowhere`;
      bench = new AmqpBench(broker.address, { addr: address });

      await expect(bench.pipeline(bench.names())).rejects.toThrow(text);
    },
    LONG_MS,
  );

  test(
    "of 10,000 confirmed jobs none is lost while connections break, and few run twice",
    async () => {
      const wire = await throughProxy();
      const pipeline = await bench.pipeline({ ...bench.names(), durable: true, exchange_durable: true, prefetch: 500 });
      for (let batch = 0; batch < 10; batch++) {
        const jobs = Array.from({ length: 1000 }, (_, n) => aJob({ id: `${batch}-${n}` }));
        expect(await pipeline.driver.pushBatch(jobs)).toEqual([]);
      }
      await consumeAll(pipeline);

      for (const at of [1000, 4000, 7000]) {
        await eventually(`${at} executions`, () => pipeline.sink.entries.length >= at);
        wire.cut();
      }
      await eventually("all jobs", () => new Set(pipeline.sink.jobIds).size === 10_000);

      const twice = pipeline.sink.entries.length - 10_000;
      process.stdout.write(`${twice} of 10,000 jobs ran twice\n`);
      expect(twice).toBeLessThanOrEqual(3 * 500);
    },
    LONG_MS,
  );
});
