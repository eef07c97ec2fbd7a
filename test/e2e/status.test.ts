import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { type HttpAnswer, httpGet } from "../support/http.ts";
import { Scene, workerPids } from "../support/scene.ts";

jest.setTimeout(60_000);

const STATUS = "status: { address: '127.0.0.1:0' }";

function portOf(scene: Scene): number {
  const [line] = scene.daemon.logged("health is served");
  return Number(String(line?.["address"]).split(":").at(-1));
}

const ask = (scene: Scene, path: string, method = "GET"): Promise<HttpAnswer> =>
  httpGet(portOf(scene), path, { method });

/** Waits until a path is answered with this status. */
async function answered(scene: Scene, path: string, status: number): Promise<HttpAnswer> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const answer = await ask(scene, path);
    if (answer.status === status) return answer;
    if (Date.now() > deadline) throw new Error(`${path} answers ${answer.status}: ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const WELL = '[{"plugin_name":"jobs","error_message":"","status_code":200}]';

describe("the status endpoint", () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await Scene.open({ more: STATUS });
  });
  afterAll(() => scene.close());

  test.each(["/health", "/ready", "/health?plugin=jobs", "/ready?plugin=jobs"])(
    "[CFG-52] %s is RoadRunner's JSON",
    async (path) => {
      const { status, text, headers } = await ask(scene, path);

      expect([status, text]).toEqual([200, WELL]);
      expect(headers["content-type"]).toBe("application/json; charset=utf-8");
    },
  );

  test("[CFG-54] a plugin that does not exist is told, and does not fail the probe", async () => {
    const typo = await ask(scene, "/health?plugin=typo");
    const both = await ask(scene, "/health?plugin=typo&plugin=jobs");

    expect([typo.status, typo.text]).toEqual([
      200,
      '[{"plugin_name":"typo","error_message":"no such plugin","status_code":404}]',
    ]);
    expect(both.status).toBe(200);
    expect((JSON.parse(both.text) as { plugin_name: string }[]).map((entry) => entry.plugin_name)).toEqual([
      "jobs",
      "typo",
    ]);
    await scene.logged("a probe asks for a plugin that does not exist, there is: jobs");
  });

  test("[CFG-56] /jobs lists every pipeline with RoadRunner's nine keys", async () => {
    await scene.declare("waits", { priority: "3" }, false);
    await scene.rpc.push({ pipeline: "waits", id: "1" });

    const { status, text } = await ask(scene, "/jobs");

    const entries = JSON.parse(text) as Record<string, unknown>[];
    const keys = ["pipeline", "priority", "ready", "queue", "active", "delayed", "reserved", "driver", "error_message"];
    expect(status).toBe(200);
    expect(entries.map((entry) => Object.keys(entry))).toEqual([keys, keys]);
    expect(entries[1]).toMatchObject({ pipeline: "waits", priority: 3, ready: false, active: 1, driver: "memory" });
  });

  test("[CFG-57] another path is not found; any method is answered", async () => {
    const other = await ask(scene, "/other");
    const methods = await Promise.all(["HEAD", "POST", "PUT"].map((method) => ask(scene, "/health", method)));

    expect([other.status, other.text]).toEqual([404, "404 page not found\n"]);
    expect(methods.map(({ status }) => status)).toEqual([200, 200, 200]);
  });

  test("[CFG-93] clients that send nothing do not keep others waiting", async () => {
    const port = portOf(scene);
    const idle = Array.from({ length: 50 }, () => connect(port, "127.0.0.1"));
    await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
    for (const socket of idle) socket.write("GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ");

    const { status } = await ask(scene, "/health");
    await scene.rpc.call("jobs.Stat");

    for (const socket of idle) socket.destroy();
    expect(status).toBe(200);
  });

  test("refuses what is no HTTP, or too large, and lives on", async () => {
    const raw = await new Promise<string>((resolve) => {
      const socket = connect(portOf(scene), "127.0.0.1", () =>
        socket.write(`GET / HTTP/1.1\r\nX: ${"a".repeat(40_000)}\r\n\r\n`),
      );
      let text = "";
      socket.on("data", (chunk) => (text += chunk.toString()));
      socket.on("error", () => undefined);
      socket.on("close", () => {
        resolve(text);
      });
    });
    const traversal = await ask(scene, "/../../etc/passwd");

    expect(raw).toMatch(/^HTTP\/1\.1 431/);
    expect(traversal.status).toBe(404);
    expect((await ask(scene, "/health")).status).toBe(200);
  });
});

describe("health and readiness", () => {
  test("[CFG-52] without a worker the daemon is not healthy, with the code that was asked for", async () => {
    const more = "status: { address: '127.0.0.1:0', unavailable_status_code: 500 }";
    await Scene.with({ more, pool: "allocate_timeout: 20s" }, async (scene) => {
      const pid = workerPids(scene.daemon)[0] ?? 0;
      // A worker that is stopped while it is started anew: there is none for a moment.
      process.kill(pid, "SIGKILL");

      const { text } = await answered(scene, "/health", 500);
      const well = await answered(scene, "/health", 200);

      expect(text).toBe('[{"plugin_name":"jobs","error_message":"internal server error, see logs","status_code":500}]');
      expect(well.text).toBe(WELL);
    });
  });

  test.each([
    { means: "workers", busy: 503 },
    { means: "serving", busy: 200 },
  ])(
    "[CFG-53] while every worker is busy /ready says $busy with jobsd.status.ready: $means",
    async ({ means, busy }) => {
      await Scene.with({ more: `${STATUS}\njobsd: { status: { ready: ${means} } }` }, async (scene) => {
        await scene.pushScript("long", ["sleep 2"]);
        await scene.ran(1);

        const during = await ask(scene, "/ready?plugin=jobs");
        const after = await answered(scene, "/ready?plugin=jobs", 200);

        expect(during.status).toBe(busy);
        expect(after.text).toBe(WELL);
      });
    },
  );

  test("[CFG-54] a strict daemon takes a probe for nothing that exists as no", async () => {
    await Scene.with({ more: `${STATUS}\njobsd: { strict: true }` }, async (scene) => {
      expect((await ask(scene, "/health?plugin=typo")).status).toBe(503);
      expect((await ask(scene, "/health?plugin=typo&plugin=jobs")).status).toBe(200);
    });
  });

  test("[CFG-55] while it drains the daemon is alive and not ready", async () => {
    await Scene.with({ more: STATUS }, async (scene) => {
      await scene.pushScript("long", ["sleep 3"]);
      await scene.ran(1);

      scene.daemon.child.kill("SIGTERM");
      const ready = await answered(scene, "/ready", 503);
      const health = await ask(scene, "/health");
      const jobs = await ask(scene, "/jobs");

      expect(ready.text).toBe("service is shutting down\n");
      expect([health.status, health.text]).toEqual([200, "service is shutting down\n"]);
      expect([jobs.status, jobs.text]).toEqual([503, "service is shutting down\n"]);
    });
  });

  test("[CFG-57] without pipelines /jobs is an empty list", async () => {
    await Scene.with({ more: STATUS, pipelines: "", consume: [] }, async (scene) => {
      expect((await ask(scene, "/jobs")).text).toBe("[]");
    });
  });
});
