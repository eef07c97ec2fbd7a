import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../../src/adapters/goridge/frame.ts";
import { LogEntrySchema } from "../../../../src/adapters/rpc/gen/applogger/v1/applogger_pb.ts";
import { RequestSchema, ResponseSchema } from "../../../../src/adapters/rpc/gen/status/v1/status_pb.ts";
import { appMethods } from "../../../../src/adapters/rpc/methods/app-methods.ts";
import { rpcMethods } from "../../../../src/adapters/rpc/methods/rpc-methods.ts";
import { statusMethods } from "../../../../src/adapters/rpc/methods/status-methods.ts";
import { informerMethods, resetterMethods } from "../../../../src/adapters/rpc/methods/workers-methods.ts";
import { type RpcMethod, RpcRouter } from "../../../../src/adapters/rpc/rpc-router.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeWorkersUseCases, RECORDED_WORKER } from "../../../support/fake-workers-use-cases.ts";

/** Calls with JSON bodies; the answer is its value, or its text if it is an error. */
function client(methods: readonly RpcMethod[]): (name: string, argument: unknown) => Promise<unknown> {
  const router = new RpcRouter(methods, new FakeLogger("rpc"));
  return async (name, argument) => {
    const answer = await router.dispatch(FLAGS.json, name, Buffer.from(JSON.stringify(argument)));
    const text = Buffer.from(answer.body).toString();
    return (answer.flags & FLAGS.error) === 0 ? (JSON.parse(text) as unknown) : text;
  };
}

describe("informer", () => {
  test("there is one plugin with workers", async () => {
    const call = client(informerMethods(new FakeWorkersUseCases()));

    expect(await call("informer.List", true)).toEqual(["jobs"]);
  });

  test("the moment of creation is an exact number of nanoseconds", async () => {
    const useCases = new FakeWorkersUseCases();
    useCases.workers = [{ ...RECORDED_WORKER, createdAtMs: 1_795_559_213_623 }];
    const router = new RpcRouter(informerMethods(useCases), new FakeLogger("rpc"));

    const answer = await router.dispatch(FLAGS.json, "informer.Workers", Buffer.from('"jobs"'));

    expect(Buffer.from(answer.body).toString()).toContain('"created":1795559213623000000,');
  });

  test("[RPC-30] an unknown plugin has no workers and no pipelines: empty lists, which PHP can count", async () => {
    const call = client(informerMethods(new FakeWorkersUseCases()));

    expect(await call("informer.Workers", "http")).toEqual({ workers: [] });
    expect(await call("informer.Jobs", "http")).toEqual([]);
  });

  test("why a pipeline has no figures is in its state", async () => {
    const useCases = new FakeWorkersUseCases();
    useCases.stats = [
      {
        pipeline: "p",
        driver: "amqp",
        queue: "q",
        active: 0,
        delayed: 0,
        reserved: 0,
        ready: false,
        priority: 10,
        error: "amqp: broker is not reachable",
      },
    ];

    expect(await client(informerMethods(useCases))("informer.Jobs", "jobs")).toMatchObject([
      { Ready: false, ErrorMessage: "amqp: broker is not reachable" },
    ]);
  });

  test("workers are added and removed; the answer is false, as in the original", async () => {
    const useCases = new FakeWorkersUseCases();
    const call = client(informerMethods(useCases));

    expect(await call("informer.AddWorker", "jobs")).toBe(false);
    expect(await call("informer.RemoveWorker", "jobs")).toBe(false);
    expect(useCases.calls).toEqual(["add", "remove"]);
  });

  test("what goes wrong is in the answer", async () => {
    const useCases = new FakeWorkersUseCases();
    useCases.failing = true;
    const call = client([...informerMethods(useCases), ...resetterMethods(useCases)]);

    expect(await call("informer.AddWorker", "jobs")).toBe("informer_addworker: worker exited with code 1");
    expect(await call("resetter.Reset", "jobs")).toBe(
      "resetter_rpc_reset:\n\tjobs_plugin_reset: worker exited with code 1",
    );
    expect(await call("informer.AddWorker", "http")).toBe("plugin http does not support workers management");
  });
});

describe("resetter", () => {
  test("resets the one plugin there is", async () => {
    const useCases = new FakeWorkersUseCases();
    const call = client(resetterMethods(useCases));

    expect(await call("resetter.List", true)).toEqual(["jobs"]);
    expect(await call("resetter.Reset", "jobs")).toBe(true);
    expect(useCases.calls).toEqual(["reset"]);
  });
});

describe("status", () => {
  test("[RPC-36] 200 while it is so, else 503", async () => {
    const health = { alive: true, ready: false };
    const call = client(statusMethods(health));

    expect(await call("status.Status", { plugin: "jobs" })).toEqual({ code: 200 });
    expect(await call("status.Ready", { plugin: "jobs" })).toEqual({ code: 503 });
    health.ready = true;
    expect(await call("status.Ready", { plugin: "jobs" })).toEqual({ code: 200 });
    expect(await call("status.Ready", { plugin: "http" })).toBe(
      "checker_rpc_ready:\n\tchecker_plugin_ready: no such plugin: http",
    );
  });

  test("protobuf, as the clients of the original send it", async () => {
    const router = new RpcRouter(statusMethods({ alive: false, ready: false }), new FakeLogger("rpc"));
    const body = Buffer.from(toBinary(RequestSchema, create(RequestSchema, { plugin: "jobs" })));

    const answer = await router.dispatch(FLAGS.proto, "status.Status", body);

    expect(fromBinary(ResponseSchema, answer.body).code).toBe(503n);
  });
});

describe("app", () => {
  const entry = Buffer.from(
    toBinary(
      LogEntrySchema,
      create(LogEntrySchema, {
        message: "paid",
        logAttrs: [
          { key: "order", value: "5" },
          { key: "by", value: "card" },
        ],
      }),
    ),
  );

  function started(): { log: FakeLogger; raw: string[]; router: RpcRouter } {
    const log = new FakeLogger("app");
    const raw: string[] = [];
    const router = new RpcRouter(
      appMethods(log, (text) => raw.push(text)),
      new FakeLogger("rpc"),
    );
    return { log, raw, router };
  }

  test.each([
    ["Error", "error"],
    ["Info", "info"],
    ["Warning", "warn"],
    ["Debug", "debug"],
  ] as const)(
    "[RPC-34] app.%s writes a record of that level, with attributes if there are any",
    async (name, level) => {
      const { log, raw, router } = started();

      const answer = await router.dispatch(FLAGS.json, `app.${name}`, Buffer.from('"hello"'));
      await router.dispatch(FLAGS.proto, `app.${name}WithContext`, entry);

      expect(Buffer.from(answer.body).toString()).toBe("false");
      expect(log.messages(level)).toEqual(["hello", "paid"]);
      expect(log.records.at(-1)?.fields).toEqual({ order: "5", by: "card" });
      expect(raw).toEqual([]);
    },
  );

  test("[RPC-34] app.Log writes to stderr as it is, with one end of line and nothing cut off", async () => {
    const { log, raw, router } = started();

    await router.dispatch(FLAGS.json, "app.Log", Buffer.from('"plain\\n"'));
    await router.dispatch(FLAGS.json, "app.Log", Buffer.from('"plain"'));
    await router.dispatch(FLAGS.proto, "app.LogWithContext", entry);

    expect(raw).toEqual(["plain\n", "plain\n", "paid order:5,by:card\n"]);
    expect(log.records).toEqual([]);
  });
});

describe("rpc", () => {
  test("Config is JSON: base64 over JSON, itself over RAW", async () => {
    const methods = rpcMethods("2025.1.15", () => '{"version":"3"}');
    const router = new RpcRouter(methods, new FakeLogger("rpc"));

    const raw = await router.dispatch(FLAGS.raw, "rpc.Config", Buffer.alloc(0));

    expect(await client(methods)("rpc.Config", true)).toBe("eyJ2ZXJzaW9uIjoiMyJ9");
    expect(Buffer.from(raw.body).toString()).toBe('{"version":"3"}');
  });
});
