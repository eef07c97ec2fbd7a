import { expect, jest, test } from "@jest/globals";
import { describeWithBroker, uniqueName } from "../support/brokers.ts";
import { HttpFaultProxy } from "../support/http-fault-proxy.ts";
import { Scene, type SceneOptions, errorText, workerPids } from "../support/scene.ts";
import { SqsServer } from "../integration/sqs/sqs-fixture.ts";

jest.setTimeout(120_000);

/** SQS takes no empty payload. */
const BODY = { payload: "x" } as const;

describeWithBroker("sqs", "the daemon with an SQS pipeline", ({ address }) => {
  const section = (endpoint: string): string =>
    `sqs: { key: AKIDCANARY, secret: canary-of-the-secret, region: us-east-1, endpoint: ${JSON.stringify(endpoint)} }`;

  const options = (queue: string, more: Partial<SceneOptions> & { readonly config?: string } = {}): SceneOptions => {
    const { config = "visibility_timeout: 20", ...rest } = more;
    const keys = `queue: ${queue}, prefetch: 10, max_messages_in_flight: 100, wait_time_seconds: 1`;
    const pipelines = `p: { driver: sqs, config: { ${keys}, ${config} } }`;
    return { pipelines, ...rest, more: `${section(address)}\n${rest.more ?? ""}` };
  };

  async function withServer(body: (server: SqsServer, queue: string) => Promise<void>): Promise<void> {
    const server = new SqsServer(address);
    try {
      await body(server, uniqueName("e2e"));
    } finally {
      await server.close();
    }
  }

  test("[SQS-1, SQS-2] runs jobs of a queue it made, and says when it starts and stops", async () => {
    await withServer(async (server, queue) => {
      const scene = await Scene.open(options(queue, { config: "tags: { Team: x }" }));
      try {
        await scene.rpc.push({ pipeline: "p", id: "a", payload: "body", headers: { h: ["1", "ü"] } });
        await scene.logged("job was processed successfully", 1, "a");
        const [run] = scene.runs();

        expect(run).toMatchObject({ id: "a", job: "app.Job", driver: "sqs", pipeline: "p", bytes: 4 });
        expect(run?.keys).toEqual(["id", "job", "driver", "headers", "queue", "pipeline"]);
        expect(run?.headers).toMatchObject({ h: ["1", "ü"], ApproximateReceiveCount: ["1"] });
        expect(await scene.stat("p")).toMatchObject({ driver: "sqs", ready: true, priority: 10 });
        expect(String((await scene.stat("p"))["queue"])).toMatch(new RegExp(`/${queue}$`));
        await server.emptied(queue);

        await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });
        expect(scene.daemon.logged("pipeline was started")).toHaveLength(1);
        await scene.logged("sqs listener was stopped");
        await scene.logged("pipeline was stopped");
        const text = JSON.stringify(scene.daemon.log) + scene.daemon.output.join("");
        expect(text).not.toContain("canary-of-the-secret");
      } finally {
        await scene.close();
      }
    });
  });

  test("[SQS-24, SQS-35] refuses a second pipeline of a name, a second resume and a second pause", async () => {
    await withServer(async (_server, queue) => {
      await Scene.with(options(queue), async (scene) => {
        const declare = { pipeline: { driver: "sqs", name: "p", queue } };
        expect(await errorText(scene.rpc.call("jobs.Declare", declare))).toContain(
          "pipeline already exists, name: p, driver: sqs",
        );
        expect(await errorText(scene.rpc.call("jobs.Resume", { pipelines: ["p"] }))).toContain(
          "sqs listener is already in the active state",
        );
        await scene.rpc.call("jobs.Pause", { pipelines: ["p"] });
        expect(await errorText(scene.rpc.call("jobs.Pause", { pipelines: ["p"] }))).toContain(
          "no active listeners, nothing to pause",
        );
      });
    });
  });

  test("[SQS-34] answers a pause at once in the middle of a long poll", async () => {
    await withServer(async (_server, queue) => {
      const proxy = await HttpFaultProxy.start(address);
      const long = `p: { driver: sqs, config: { queue: ${queue}, prefetch: 10, wait_time_seconds: 5 } }`;
      await Scene.with({ pipelines: long, more: section(proxy.address) }, async (scene) => {
        await scene.daemon.waitFor("the poll", () => proxy.of("ReceiveMessage").length > 0);

        const before = performance.now();
        await scene.rpc.call("jobs.Pause", { pipelines: ["p"] });
        const tookMs = performance.now() - before;
        const stat = await scene.stat("p");

        // 200 ms are promised; a busy machine gets more.
        expect(tookMs).toBeLessThan(2_000);
        expect(stat["ready"]).toBe(false);
      });
      await proxy.shut();
    });
  });

  test("[SQS-33] runs a job again whose worker was killed, ever more slowly, and gives it up in the end", async () => {
    await withServer(async (server, queue) => {
      const more = `jobsd: { policy: { max_attempts: 3 } }`;
      await Scene.with(options(queue, { more }), async (scene) => {
        await scene.pushScript("once", ["kill", "ack"], BODY);
        await scene.pushScript("poison", ["kill"], BODY);

        await scene.logged("job was given up", 1, "poison");
        await scene.logged("job was processed successfully", 1, "once");

        const runs = scene.runs().filter(({ id }) => id === "poison");
        expect(runs).toHaveLength(3);
        for (const [index, { atMs }] of runs.slice(1).entries())
          expect(atMs - (runs[index]?.atMs ?? 0)).toBeGreaterThan(850);
        expect(scene.runs().filter(({ id }) => id === "once")).toHaveLength(2);
        await server.emptied(queue);
      });
    });
  });

  test("[SQS-9] requeues as a worker asks, with its headers and its delay", async () => {
    await withServer(async (server, queue) => {
      await Scene.with(options(queue), async (scene) => {
        await scene.pushScript("a", ["retry 3"], BODY);

        await scene.logged("job was processed successfully", 1, "a");

        const runs = scene.runs();
        expect(runs.map(({ headers }) => headers["attempts"]?.[0])).toEqual([undefined, "1", "2", "3"]);
        for (const [index, { atMs }] of runs.slice(1).entries())
          expect(atMs - (runs[index]?.atMs ?? 0)).toBeGreaterThan(850);
        await server.emptied(queue);
      });
    });
  });

  test("[SQS-36] gives back the jobs that wait when a pipeline is destroyed, and lets the running ones end", async () => {
    await withServer(async (server, queue) => {
      await Scene.with(options(queue, { workers: 2, config: "visibility_timeout: 600" }), async (scene) => {
        const ids = Array.from({ length: 20 }, (_, n) => `j${n}`);
        for (const id of ids) await scene.pushScript(id, ["sleep 2"], BODY);
        await scene.ran(2);

        await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });
        const { waiting, invisible } = await server.counts(queue);

        const done = scene.daemon.logged("job was processed successfully").length;
        expect([waiting + done, invisible]).toEqual([20, 0]);
        expect(done).toBeGreaterThanOrEqual(2);
        expect(done).toBeLessThanOrEqual(6);
      });
    });
  });

  test("[SQS-37] loses no job and runs none twice over a stop and a start", async () => {
    await withServer(async (server, queue) => {
      const count = 300;
      const first = await Scene.open(options(queue, { workers: 4, config: "visibility_timeout: 600" }));
      const jobs = Array.from({ length: count }, (_, n) => ({
        ...{ pipeline: "p", id: `j${n}`, payload: "x" },
        headers: { script: ["sleep 0.02"] },
      }));
      await first.rpc.pushBatch(jobs);
      await first.ran(40);
      first.rpc.close();
      const exit = await first.daemon.stop();
      const before = first.runs().map(({ id }) => id);
      const left = await server.counts(queue);

      await Scene.with(options(queue, { workers: 4 }), async (second) => {
        await second.daemon.waitFor("the others", () => second.runs().length >= count - before.length);
        await server.emptied(queue);
        const ran = [...before, ...second.runs().map(({ id }) => id)];

        expect(exit).toEqual({ code: 0, signal: null });
        expect(left).toEqual({ waiting: count - before.length, delayed: 0, invisible: 0 });
        expect(ran).toHaveLength(count);
        expect(new Set(ran).size).toBe(count);
      });
    });
  });

  test("[JC-51] runs every job at least once after the daemon was killed", async () => {
    await withServer(async (server, queue) => {
      const count = 100;
      const first = await Scene.open(options(queue, { workers: 4, config: "visibility_timeout: 5" }));
      await first.rpc.pushBatch(
        Array.from({ length: count }, (_, n) => ({
          ...{ pipeline: "p", id: `j${n}`, payload: "x" },
          headers: { script: ["sleep 0.05"] },
        })),
      );
      await first.ran(20);
      await first.daemon.kill();
      const before = first.runs().map(({ id }) => id);

      await Scene.with(options(queue, { workers: 4 }), async (second) => {
        await server.emptied(queue);
        const ran = [...before, ...second.runs().map(({ id }) => id)];

        expect(new Set(ran).size).toBe(count);
        // What was held, and what was run and not deleted yet.
        expect(ran.length - count).toBeLessThanOrEqual(4 + 32 + 20);
      });
      expect(workerPids(first.daemon).length).toBe(4);
    });
  });
});
