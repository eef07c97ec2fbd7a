import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { BeanstalkCodec } from "../../src/adapters/beanstalk/beanstalk-message.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { eventually } from "../integration/beanstalk/beanstalk-fixture.ts";
import { BeanstalkPeer } from "../support/beanstalk-peer.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker, uniqueName } from "../support/brokers.ts";
import { errorText, Scene, type SceneOptions } from "../support/scene.ts";
import { TcpProxy } from "../support/tcp-proxy.ts";

jest.setTimeout(120_000);

const EMPTY = { ready: 0, reserved: 0, delayed: 0, buried: 0 };

/** A body as our daemon writes it, of a job with one step for each execution. */
function scripted(id: string, script: readonly string[], pipeline = "p"): Buffer {
  return new BeanstalkCodec().encode({
    job: "app.Job",
    ident: id,
    payload: Buffer.from("x"),
    headers: toHeaders([["script", script]]),
    options: { priority: 10, pipeline, delay: 0, autoAck: false, queue: "" },
  });
}

describeWithPrivateBroker("beanstalk", "the daemon with pipelines on tubes", () => {
  let broker: PrivateBroker;
  let peer: BeanstalkPeer;
  beforeAll(async () => {
    broker = await startPrivateBroker("beanstalk");
    peer = await BeanstalkPeer.connect(broker.address);
  }, 300_000);
  afterAll(async () => {
    peer.close();
    await broker.dispose();
  }, 60_000);

  const section = (addr: string): string => `beanstalk: { addr: ${JSON.stringify(addr)}, timeout: 10s }`;

  const options = (
    tube: string,
    more: Partial<SceneOptions> & { readonly config?: string; readonly addr?: string } = {},
  ): SceneOptions => {
    const { config = "ttr: 30", addr = broker.address, ...rest } = more;
    const pipelines = `p: { driver: beanstalk, config: { tube: ${JSON.stringify(tube)}, ${config} } }`;
    return { pipelines, ...rest, more: `${section(addr)}\n${rest.more ?? ""}` };
  };

  const emptied = (tube: string): Promise<void> =>
    eventually(async () => JSON.stringify(await peer.counts(tube)) === JSON.stringify(EMPTY), `an empty tube ${tube}`);

  test("[BEAN-1, BEAN-2] runs jobs of two tubes, and says when it starts and stops", async () => {
    const [left, right] = [uniqueName("left"), uniqueName("right")];
    const pipelines = `p: { driver: beanstalk, config: { tube: ${left} } }, q: { driver: beanstalk, config: { tube: ${right} } }`;
    await Scene.with({ pipelines, consume: ["p", "q"], more: section(broker.address) }, async (scene) => {
      expect(
        scene.daemon
          .logged("pipeline was started")
          .map((line) => line["pipeline"])
          .sort(),
      ).toEqual(["p", "q"]);
      await scene.rpc.push({ pipeline: "p", id: "a", payload: "body", headers: { h: ["1", "ü"] } });
      await scene.rpc.push({ pipeline: "q", id: "b" });
      await scene.ran(2);
      const [run] = scene.runs("p");

      expect(run).toMatchObject({ id: "a", job: "app.Job", driver: "beanstalk", pipeline: "p", bytes: 4 });
      expect(run?.keys).toEqual(["id", "job", "driver", "headers", "queue", "pipeline"]);
      expect(run?.headers).toEqual({ h: ["1", "ü"] });
      await emptied(left);
      await emptied(right);
      expect(scene.runs().length).toBe(2);
      await scene.rpc.call("jobs.Destroy", { pipelines: ["p", "q"] });
      await scene.logged("pipeline was stopped", 2);
      await scene.logged("beanstalk listener stopped", 2);
    });
  });

  test("[BEAN-3] deletes a job with auto_ack before it runs, once", async () => {
    const tube = uniqueName("auto");
    await Scene.with(options(tube), async (scene) => {
      await scene.pushScript("a", ["sleep 1.5"], { autoAck: true });
      await scene.ran(1);
      await emptied(tube);
      expect(scene.daemon.logged("job was processed successfully").length).toBe(0);

      await scene.logged("job was processed successfully");
      expect(scene.runs().length).toBe(1);
      expect(scene.daemon.logged("auto_ack option enabled").length).toBe(1);
    });
  });

  test("[BEAN-4] confirms 200 pushes while two slow workers work, and can be destroyed in the middle", async () => {
    const tube = uniqueName("slow");
    await Scene.with(options(tube, { workers: 2 }), async (scene) => {
      const ids = Array.from({ length: 200 }, (_value, index) => `j${index}`);
      await Promise.all(ids.map((id) => scene.pushScript(id, ["sleep 0.2"])));
      await scene.ran(4);

      await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });

      await scene.logged("beanstalk listener stopped");
      const { ready, reserved } = await peer.counts(tube);
      await scene.logged("job was processed successfully", 200 - ready);
      expect(reserved).toBe(0);
      expect(scene.runs().length).toBe(200 - ready);
    });
  });

  test("[BEAN-5, BEAN-42] is declared, resumed, paused and destroyed, each once", async () => {
    const tube = uniqueName("declared");
    const more = { pipelines: "m: { driver: memory }", consume: ["m"], more: section(broker.address) };
    await Scene.with(more, async (scene) => {
      const texts = { tube, reserve_timeout: "1", tube_priority: "10", priority: "3" };
      const pipeline = { driver: "beanstalk", name: "d", ...texts };
      await scene.rpc.call("jobs.Declare", { pipeline });
      expect(await errorText(scene.rpc.call("jobs.Declare", { pipeline }))).toContain(
        "pipeline already exists, name: d, driver: beanstalk",
      );
      await scene.rpc.call("jobs.Resume", { pipelines: ["d"] });
      expect(await errorText(scene.rpc.call("jobs.Resume", { pipelines: ["d"] }))).toContain(
        "beanstalk listener is already in the active state",
      );
      await scene.rpc.push({ pipeline: "d", id: "a" });
      await scene.logged("job was processed successfully", 1, "a");
      await scene.rpc.call("jobs.Pause", { pipelines: ["d"] });
      expect(await errorText(scene.rpc.call("jobs.Pause", { pipelines: ["d"] }))).toContain(
        "no active listeners, nothing to pause",
      );
      expect(await scene.stat("d")).toMatchObject({ priority: 3, queue: tube, ready: false });
      await scene.rpc.call("jobs.Destroy", { pipelines: ["d"] });
      await scene.logged("pipeline was stopped");
    });
  });

  test("[BEAN-6, BEAN-7] counts the jobs of a paused pipeline, and runs them when it is resumed", async () => {
    const tube = uniqueName("paused");
    await Scene.with(options(tube, { consume: [], config: "priority: 3" }), async (scene) => {
      const numbers = async (): Promise<readonly unknown[]> => {
        const { active, delayed, reserved, ready, priority, queue } = await scene.stat("p");
        return [Number(active), Number(delayed), Number(reserved), ready, Number(priority), queue];
      };
      expect(await numbers()).toEqual([0, 0, 0, false, 3, tube]);
      for (let n = 0; n < 5; n++) await scene.rpc.push({ pipeline: "p", id: `j${n}` });
      await scene.rpc.push({ pipeline: "p", id: "late", delaySec: 2 });
      expect(await numbers()).toEqual([5, 1, 0, false, 3, tube]);
      expect(scene.runs().length).toBe(0);

      await scene.rpc.call("jobs.Resume", { pipelines: ["p"] });

      await scene.ran(6);
      await emptied(tube);
      expect(await numbers()).toEqual([0, 0, 0, true, 3, tube]);
    });
  });

  test("[BEAN-8] requeues as its worker asks, with its headers and its delay", async () => {
    const tube = uniqueName("again");
    await Scene.with(options(tube), async (scene) => {
      await scene.pushScript("a", ["retry 3"]);

      await scene.logged("job was processed successfully", 1, "a");

      const runs = scene.runs();
      expect(runs.map(({ headers }) => headers["attempts"]?.[0])).toEqual([undefined, "1", "2", "3"]);
      for (const [index, { atMs }] of runs.slice(1).entries()) {
        expect(atMs - (runs[index]?.atMs ?? 0)).toBeGreaterThan(850);
      }
      await emptied(tube);
    });
  });

  test("[BEAN-9, BEAN-40] runs what somebody else has put into a tube whose name is a number", async () => {
    const tube = `0${Math.floor(Math.random() * 1e9)}`;
    await Scene.with(options(tube), async (scene) => {
      const id = await peer.put(tube, "fooobarrbazzz");

      const [run] = await scene.ran(1);

      expect(run).toMatchObject({ job: "deduced_by_rr", id: `beanstalk-${tube}-${id}`, bytes: 13, pipeline: "p" });
      expect(await scene.stat("p")).toMatchObject({ queue: tube, ready: true });
      await emptied(tube);
    });
  });

  test("[BEAN-10] buries a job whose worker answers garbage, after one run and with one error", async () => {
    const tube = uniqueName("garbage");
    await Scene.with(options(tube), async (scene) => {
      await scene.pushScript("a", ["answer not json"]);
      await scene.pushScript("b", ["ack"]);

      await scene.logged("job was given up", 1, "a");
      await scene.logged("job was processed successfully", 1, "b");

      await eventually(async () => (await peer.counts(tube)).buried === 1, "a buried job");
      expect(scene.runs().filter(({ id }) => id === "a").length).toBe(1);
      expect(scene.daemon.logged("response handler error").length).toBe(1);
    });
  });

  test("[BEAN-11] starts without its section, and refuses to declare a pipeline then", async () => {
    await Scene.with({}, async (scene) => {
      const call = scene.rpc.call("jobs.Declare", { pipeline: { driver: "beanstalk", name: "d" } });

      expect(await errorText(call)).toContain("no constructor registered for driver: beanstalk, pipeline: d");
    });
  });

  test("[BEAN-13] pushes and runs jobs after its connections were cut and refused for a while", async () => {
    const tube = uniqueName("cut");
    const proxy = await TcpProxy.listen(broker.address);
    try {
      await Scene.with(options(tube, { addr: proxy.through(broker.address) }), async (scene) => {
        await scene.rpc.push({ pipeline: "p", id: "before" });
        await scene.ran(1);
        proxy.refuse();
        await scene.logged("connection to the broker was lost, connecting again");
        proxy.restore();

        await scene.rpc.push({ pipeline: "p", id: "after" });

        await scene.logged("job was processed successfully", 1, "after");
      });
    } finally {
      await proxy.close();
    }
  });

  test("[BEAN-20, BEAN-21] keeps jobs whose time to run is shorter than they take, and than they wait", async () => {
    const tube = uniqueName("ttr");
    await Scene.with(options(tube), async (scene) => {
      const id = await peer.put(tube, scripted("long", ["sleep 4"]), { ttr: 1, pri: 0 });
      const [run] = await scene.ran(1);
      await eventually(
        async () => Number((await peer.stats(`stats-job ${id}`))["age"]) >= 3,
        "three times its time to run",
      );
      expect(await peer.stats(`stats-job ${id}`)).toMatchObject({ state: "reserved", timeouts: "0", reserves: "1" });
      for (let n = 0; n < 8; n++) await peer.put(tube, scripted(`j${n}`, ["sleep 0.4"]), { ttr: 1 });
      expect(run?.id).toBe("long");

      await scene.logged("job was processed successfully", 9);

      await emptied(tube);
      expect(
        scene
          .runs()
          .map(({ id }) => id)
          .sort(),
      ).toEqual([...Array.from({ length: 8 }, (_v, n) => `j${n}`), "long"]);
    });
  });

  test("[BEAN-23] runs a job again whose worker was killed, ever more slowly, and buries it in the end", async () => {
    const tube = uniqueName("killed");
    await Scene.with(options(tube, { more: "jobsd: { policy: { max_attempts: 3 } }" }), async (scene) => {
      await scene.pushScript("once", ["kill", "ack"]);
      await scene.pushScript("poison", ["kill"]);
      await scene.pushScript("healthy", ["ack"]);

      await scene.logged("job was given up", 1, "poison");
      await scene.logged("job was processed successfully", 1, "once");
      await scene.logged("job was processed successfully", 1, "healthy");

      const runs = scene.runs().filter(({ id }) => id === "poison");
      expect(runs.length).toBe(3);
      for (const [index, { atMs }] of runs.slice(1).entries()) {
        expect(atMs - (runs[index]?.atMs ?? 0)).toBeGreaterThan(850);
      }
      await eventually(async () => (await peer.counts(tube)).buried === 1, "a buried job");
    });
  });

  test("[BEAN-24] runs a rejected job once more, not before its delay", async () => {
    const tube = uniqueName("nack");
    await Scene.with(options(tube), async (scene) => {
      const again = JSON.stringify({ type: 3, data: { message: "x", requeue: true, delay_seconds: 2 } });
      await scene.pushScript("a", [`answer ${again}`, "ack"]);

      await scene.logged("job was processed successfully", 1, "a");

      const [first, second, ...more] = scene.runs();
      expect(more).toEqual([]);
      expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(2000);
      await emptied(tube);
    });
  });

  test.each(["ttr: 30", "on_nack: bury"])(
    "[BEAN-25] buries a rejected job, which runs when it is kicked (%s)",
    async (config) => {
      const tube = uniqueName("buried");
      await Scene.with(options(tube, { config }), async (scene) => {
        await scene.pushScript("a", [`answer ${JSON.stringify({ type: 3, data: { message: "x" } })}`, "ack"]);
        await eventually(async () => (await peer.counts(tube)).buried === 1, "a buried job");

        await peer.expect("USING", `use ${tube}`);
        await peer.expect("KICKED", "kick 1");

        await scene.logged("job was processed successfully", 1, "a");
        await emptied(tube);
        expect(scene.runs().length).toBe(2);
      });
    },
  );

  test("[BEAN-26] gives waiting jobs back in order when it is paused, and deletes the running one", async () => {
    const tube = uniqueName("pause");
    await Scene.with(options(tube), async (scene) => {
      for (let n = 0; n < 10; n++) await scene.pushScript(`j${n}`, [n === 0 ? "sleep 2" : "ack"]);
      await scene.ran(1);
      await eventually(async () => (await peer.counts(tube)).reserved === 10, "ten reserved jobs");

      await scene.rpc.call("jobs.Pause", { pipelines: ["p"] });

      expect(await peer.counts(tube)).toMatchObject({ ready: 9, reserved: 1 });
      await eventually(async () => (await peer.counts(tube)).reserved === 0, "the end of the running job");
      const codec = new BeanstalkCodec();
      const found: (string | undefined)[] = [];
      for (let body = await peer.take(tube); body !== undefined; body = await peer.take(tube)) {
        found.push(codec.decode(body)?.ident);
      }
      expect(found).toEqual(Array.from({ length: 9 }, (_value, index) => `j${index + 1}`));
    });
  });

  test("[BEAN-27, BEAN-37] two daemons share a tube; one that is stopped lets its jobs end and leaves no connection", async () => {
    const tube = uniqueName("shared");
    const connections = async (): Promise<number> => Number((await peer.stats("stats"))["current-connections"]);
    const before = await connections();
    const first = await Scene.open(options(tube, { workers: 2 }));
    const second = await Scene.open(options(tube, { workers: 2 }));
    try {
      const ids = Array.from({ length: 60 }, (_value, index) => `j${index}`);
      for (const id of ids) await first.pushScript(id, ["sleep 0.15"]);
      await first.ran(4);

      const exit = await first.daemon.stop();
      await second.daemon.waitFor(
        "the rest",
        async () => JSON.stringify(await peer.counts(tube)) === JSON.stringify(EMPTY),
      );

      expect(exit.code).toBe(0);
      const runs = [...first.runs(), ...second.runs()].map(({ id }) => id);
      expect(runs.sort()).toEqual(ids.sort());
    } finally {
      await first.close();
      await second.close();
    }
    await eventually(async () => (await connections()) === before, "the end of all connections");
  });

  test("loses no job when it is killed in the middle", async () => {
    const tube = uniqueName("sigkill");
    const ids = Array.from({ length: 50 }, (_value, index) => `j${index}`);
    const first = await Scene.open(options(tube, { workers: 2 }));
    let ran: readonly string[];
    try {
      for (const id of ids) await first.pushScript(id, ["sleep 0.05"]);
      await first.ran(10);
      await first.daemon.kill();
      ran = first.runs().map(({ id }) => id);
    } finally {
      await first.close();
    }
    await Scene.with(options(tube, { workers: 2 }), async (scene) => {
      await emptied(tube);
      const all = [...ran, ...scene.runs().map(({ id }) => id)];

      expect([...new Set(all)].sort()).toEqual(ids.sort());
      // Those that were running, or were done and not deleted yet.
      expect(all.length - ids.length).toBeLessThanOrEqual(12);
    });
  });

  test("[BEAN-38] shows a foreign pipeline's name as it was sent, and drops its jobs when it is destroyed", async () => {
    const tube = uniqueName("foreign");
    await Scene.with(options(tube), async (scene) => {
      await peer.put(tube, scripted("running", ["sleep 1"], "theirs"));
      for (let n = 0; n < 3; n++) await peer.put(tube, scripted(`waiting${n}`, ["ack"], "theirs"));
      const [run] = await scene.ran(1);
      await eventually(async () => (await peer.counts(tube)).reserved === 4, "four reserved jobs");

      await scene.rpc.call("jobs.Destroy", { pipelines: ["p"] });

      expect([run?.id, run?.pipeline]).toEqual(["running", "theirs"]);
      expect(scene.runs().length).toBe(1);
      expect(await peer.counts(tube)).toMatchObject({ ready: 3, reserved: 0 });
    });
  });
});
