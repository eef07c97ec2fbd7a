import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { AmqpBench, eventually } from "../support/amqp.ts";
import { describeWithBroker } from "../support/brokers.ts";
import { errorText, gone, Scene, type SceneOptions, workerPids } from "../support/scene.ts";

jest.setTimeout(180_000);

describeWithBroker("amqp", "the daemon with pipelines on RabbitMQ", (broker) => {
  let bench: AmqpBench;
  beforeAll(() => {
    bench = new AmqpBench(broker.address);
  });
  afterAll(() => bench.close());

  const section = `amqp: { addr: ${JSON.stringify(broker.address)} }`;

  /** A scene whose pipeline `p` is on a queue of its own. */
  function onQueue(more: Partial<SceneOptions> & { readonly config?: string } = {}): {
    readonly queue: string;
    readonly options: SceneOptions;
  } {
    const { exchange, queue, routing_key: key } = bench.names();
    const { config = "", ...rest } = more;
    const own = `exchange: ${exchange}, queue: ${queue}, routing_key: ${key}, durable: true${config}`;
    const pipelines = `p: { driver: amqp, config: { ${own} } }`;
    return { queue, options: { pipelines, ...rest, more: `${section}\n${rest.more ?? ""}` } };
  }

  const jobs = (count: number): readonly { readonly pipeline: string; readonly id: string }[] =>
    Array.from({ length: count }, (_value, n) => ({ pipeline: "p", id: `j-${n}` }));

  test("[AMQP-7] a pipeline is declared, resumed, paused and destroyed, each once", async () => {
    const { exchange, queue, routing_key: key } = bench.names();
    const more = { pipelines: "m: { driver: memory }", consume: ["m"], more: section };
    await Scene.with(more, async (scene) => {
      const pipeline = { driver: "amqp", name: "d", exchange, queue, routing_key: key, priority: "3" };
      await scene.rpc.call("jobs.Declare", { pipeline });
      await scene.rpc.call("jobs.Resume", { pipelines: ["d"] });
      const twice = await errorText(scene.rpc.call("jobs.Resume", { pipelines: ["d"] }));
      await scene.rpc.push({ pipeline: "d", id: "a", payload: "body", headers: { h: ["1"] } });
      const [run] = await scene.ran(1, "d");
      await scene.rpc.call("jobs.Pause", { pipelines: ["d"] });
      const paused = await errorText(scene.rpc.call("jobs.Pause", { pipelines: ["d"] }));
      const stat = await scene.stat("d");
      await scene.rpc.call("jobs.Destroy", { pipelines: ["d"] });

      expect(twice).toContain("already in the active state");
      expect(paused).toContain("no active listeners, nothing to pause");
      expect(stat).toMatchObject({ priority: 3, queue, ready: false });
      expect(run).toMatchObject({ id: "a", driver: "amqp", pipeline: "d", bytes: 4 });
      expect(run?.keys).toEqual(["id", "job", "driver", "queue", "headers", "pipeline"]);
      expect(await scene.list()).not.toContain("d");
    });
  });

  test("[AMQP-11] 200 pushes are confirmed while slow workers work, and after destroy none is executed", async () => {
    const { queue, options } = onQueue({ workers: 2, config: ", prefetch: 20" });
    await Scene.with(options, async (scene) => {
      await Promise.all(jobs(200).map(({ id }) => scene.pushScript(id, ["sleep 0.2"])));
      await scene.ran(4);

      await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });
      const executed = scene.runs().length;

      // What had not started is in the queue again.
      await eventually("the waiting jobs", async () => (await bench.depth(queue)) === 200 - executed);
      expect(scene.runs().length).toBe(executed);
      expect(executed).toBeLessThan(200);
    });
  });

  test.each([
    { requeueOnFail: true, what: "runs again" },
    { requeueOnFail: false, what: "runs again, since a failing worker destroys no job" },
  ])("[AMQP-35] with requeue_on_fail: $requeueOnFail a job whose worker is killed $what", async ({ requeueOnFail }) => {
    const { queue, options } = onQueue({ config: `, requeue_on_fail: ${requeueOnFail}` });
    await Scene.with(options, async (scene) => {
      await scene.pushScript("killed", ["kill", "ack"]);
      await scene.logged("job was processed successfully", 1, "killed");

      const runs = scene.runs();
      expect(runs.map(({ headers }) => headers["x-job-attempt"])).toEqual([undefined, ["1"]]);
      await scene.logged("job processed with errors", 1, "killed");
      await eventually("an empty queue", async () => (await bench.depth(queue)) === 0);
    });
  });

  test("[AMQP-36] a job that kills every worker ends in the failed store, and the others go on", async () => {
    const policy = "policy: { max_attempts: 3, backoff: { initial: 100ms } }";
    const { queue, options } = onQueue({ more: `jobsd: { ${policy} }` });
    await Scene.with(options, async (scene) => {
      await scene.pushScript("poison", ["kill"]);
      for (const { id } of jobs(20)) await scene.pushScript(id, ["ack"]);
      await scene.logged("job was given up", 1, "poison");
      await scene.logged("job was processed successfully", 20);

      const failed = (await scene.rpc.call("jobsd.FailedList", {})) as { jobs: { job_id: string; reason: string }[] };
      expect(failed.jobs).toEqual([expect.objectContaining({ job_id: "poison", reason: "attempts" })]);
      expect(scene.runs().filter(({ id }) => id === "poison")).toHaveLength(3);
      await eventually("an empty queue", async () => (await bench.depth(queue)) === 0);
    });
  });

  test("[AMQP-45] 10,000 pushes of 50 connections at once are all confirmed and in the queue", async () => {
    const { queue, options } = onQueue({ consume: [] });
    await Scene.with({ ...options, logLevel: "info" }, async (scene) => {
      const clients = await Promise.all(Array.from({ length: 50 }, () => scene.daemon.connect()));
      await Promise.all(
        clients.map((client, index) =>
          Promise.all(Array.from({ length: 200 }, (_value, n) => client.push({ pipeline: "p", id: `c${index}-${n}` }))),
        ),
      );
      for (const client of clients) client.close();

      await eventually("all jobs in the queue", async () => (await bench.depth(queue)) === 10_000);
    });
  });

  test("[JC-31] the broker never shows more unacknowledged jobs than run and may wait, and a pause gives those back", async () => {
    const { queue, options } = onQueue({ workers: 2, config: ", prefetch: 1000", consume: [] });
    await Scene.with(options, async (scene) => {
      const batch = Array.from({ length: 5000 }, (_value, n) => ({
        pipeline: "p",
        id: `j-${n}`,
        headers: { script: ["sleep 0.5"] },
      }));
      for (let first = 0; first < batch.length; first += 1000)
        await scene.rpc.pushBatch(batch.slice(first, first + 1000));
      await scene.rpc.call("jobs.Resume", { pipelines: ["p"] });
      await scene.ran(2);
      const waiting = (await bench.depth(queue)) ?? 0;

      await scene.rpc.call("jobs.Pause", { pipelines: ["p"] });
      const started = scene.runs().map(({ id }) => id);
      await eventually("all others in the queue", async () => (await bench.depth(queue)) === 5000 - started.length);
      const next = await bench.get(queue);

      // Two run, 32 may wait; some more may have ended in the meantime.
      expect(5000 - waiting).toBeLessThanOrEqual(34 + started.length);
      expect(started).toEqual(Array.from({ length: started.length }, (_value, n) => `j-${n}`));
      expect(String(next?.properties.headers?.["rr_id"])).toBe(`j-${started.length}`);
    });
  });

  test("[JC-52] SIGTERM under load loses no job and runs none twice", async () => {
    const { queue, options } = onQueue({ workers: 3, config: ", prefetch: 100" });
    const scene = await Scene.open(options);
    const script = { script: ["sleep 0.3"] };
    await scene.rpc.pushBatch(jobs(100).map((job) => ({ ...job, headers: script })));
    await scene.ran(6);
    const exit = await scene.daemon.stop();
    const first = scene.runs().map(({ id }) => id);
    const left = await bench.depth(queue);
    await scene.close();

    expect(exit).toEqual({ code: 0, signal: null });
    expect(new Set(first).size).toBe(first.length);
    expect(left).toBe(100 - first.length);
    await Scene.with(options, async (again) => {
      await again.ran(100 - first.length);
      await eventually("an empty queue", async () => (await bench.depth(queue)) === 0);
      const all = [...first, ...again.runs().map(({ id }) => id)];
      expect(new Set(all).size).toBe(100);
      expect(all).toHaveLength(100);
    });
  });

  test("[JC-51] SIGKILL of the daemon loses no job", async () => {
    const { queue, options } = onQueue({ workers: 4, config: ", prefetch: 50" });
    const scene = await Scene.open(options);
    await scene.rpc.pushBatch(jobs(60).map((job) => ({ ...job, headers: { script: ["sleep 0.2"] } })));
    await scene.ran(8);
    const pids = workerPids(scene.daemon);
    await scene.daemon.kill();
    const first = scene.runs().map(({ id }) => id);
    await gone(pids);
    await scene.close();

    await Scene.with(options, async (again) => {
      const all = (): ReadonlySet<string> => new Set([...first, ...again.runs().map(({ id }) => id)]);
      await again.daemon.waitFor("all jobs", () => all().size === 60);
      await eventually("an empty queue", async () => (await bench.depth(queue)) === 0);
      // Those that ran when the daemon died, and those it had not acknowledged yet.
      expect(first.length + again.runs().length - 60).toBeLessThanOrEqual(8);
    });
  });
});
