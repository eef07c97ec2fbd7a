import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../src/adapters/goridge/frame.ts";
import { appMethods } from "../../src/adapters/rpc/methods/app-methods.ts";
import { statusMethods } from "../../src/adapters/rpc/methods/status-methods.ts";
import { informerMethods, resetterMethods } from "../../src/adapters/rpc/methods/workers-methods.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeWorkersUseCases } from "../support/fake-workers-use-cases.ts";
import { RpcFixture } from "../support/rpc-fixture.ts";
import { request } from "../support/rpc-peer.ts";
import { goldenFrames } from "./golden-frames.ts";
import { framesOf, outcomeOf } from "./rpc-transcripts.ts";

/** What the stub behind the recorded frames knew. */
const PIPELINES = ["test-local", "emails"];
const CONFIG = '{"version":"3"}';

/** Where the recorder's stub, in the words of RoadRunner's next release, says something else than 2025.1 and we. */
const OTHER: Readonly<Record<string, object>> = {
  "cli-rr-jobs-destroy-nope": { text: "rpc_destroy_pipeline:\n\tjobs_plugin_destroy: no such pipeline, requested: nope" },
  "cli-resetter-reset-http": { text: resetText("http") },
  "msgpack-error": { text: resetText("http") },
  "rpc-resetter-reset-unknown": { text: resetText("http") },
  "rpc-informer-removeworker-unknown": { text: "plugin http does not support workers management" },
  "rpc-status-status-unknown": {
    text: "checker_rpc_status:\n\tchecker_plugin_status: no such plugin: nope",
  },
  "rpc-informer-jobs-unknown-plugin": { value: [] },
  "rpc-rpc-version-raw": { t: "reply", value: '"2025.1.9"', text: undefined },
  "rpc-json-type-mismatch": { text: "informer.Workers: expected a string, got a number" },
};

function resetText(plugin: string): string {
  return `resetter_rpc_reset:\n\tresetter_plugin_reset_by_name: no such plugin: ${plugin}`;
}

const SERVED = /^(cli-|msgpack-|rpc-(informer|resetter|rpc|app|status|unknown|ill|json|proto|bad))/;

function pairs(): readonly (readonly [string, string, string])[] {
  const vectors = goldenFrames().filter(({ name }) => SERVED.test(name) && !name.includes('metrics'));
  const responses = new Map(vectors.map(({ name, hex }) => [name, hex]));
  return vectors
    .filter(({ name }) => name.endsWith("-request"))
    .map(({ name, hex }) => {
      const base = name.slice(0, -"-request".length);
      return [base, hex, responses.get(`${base}-response`) ?? ""] as const;
    });
}

describe("[RPC-10] recorded calls of the rr command line and of the PHP packages", () => {
  let fixture: RpcFixture;
  const workers = new FakeWorkersUseCases();

  beforeAll(async () => {
    const health = { alive: true, ready: false };
    const more = [
      ...informerMethods(workers),
      ...resetterMethods(workers),
      ...statusMethods(health),
      ...appMethods(new FakeLogger("app"), () => undefined),
    ];
    fixture = new RpcFixture({}, PIPELINES, more, CONFIG);
    await fixture.server.start();
  });

  afterAll(async () => {
    await fixture.close();
  });

  test.each(pairs())("%s: the answer means the same to its client", async (base, sent, response) => {
    fixture.useCases.pipelines = [...PIPELINES];
    const [expected] = framesOf(response);
    const peer = await fixture.connect();

    peer.send(Buffer.from(sent, "hex"));
    const [answer] = await peer.answered(1);

    if (answer === undefined || expected === undefined) throw new Error("no answer");
    const wanted = outcomeOf(expected.flags, answer.method, expected.payload.subarray(expected.options[1]));
    expect(outcomeOf(answer.flags, answer.method, answer.body)).toEqual({ ...wanted, ...OTHER[base] });
    expect(answer.id).toBe(expected.options[0]);
  });

  test("the tables of rr workers are byte for byte what the original writes, but for ids of types", async () => {
    const peer = await fixture.connect();
    const recorded = new Map(goldenFrames("cli-").map(({ name, hex }) => [name, framesOf(hex)[0]]));

    for (const plugin of ["jobs", "http"]) {
      for (const method of ["workers", "jobs"]) {
        const name = `cli-informer-${method}-${plugin}`;
        peer.send(Buffer.from(goldenFrames(`${name}-request`)[0]?.hex ?? "", "hex"));
        const answers = await peer.answered(peer.answers.length + 1);
        const expected = recorded.get(`${name}-response`);
        const body = expected?.payload.subarray(expected.options[1]);
        expect(withoutIds(answers.at(-1)?.body)).toBe(withoutIds(body));
      }
    }
    expect(workers.calls).toContain("add");
  });

  test("[RPC-16] each codec answers in itself, and PROTO says that a text is no message", async () => {
    const peer = await fixture.connect();
    const requests = goldenFrames("cli-rpc-version-request").concat(
      goldenFrames("msgpack-rpc-version-request"),
      goldenFrames("rpc-rpc-version-raw-request"),
      goldenFrames("rpc-rpc-version-request"),
      goldenFrames("malformed-proto-empty-body"),
    );

    const flags: number[] = [];
    for (const { hex } of requests) {
      peer.send(Buffer.from(hex, "hex"));
      const answers = await peer.answered(flags.length + 1);
      flags.push(answers.at(-1)?.flags ?? 0);
    }

    expect(flags.slice(0, 4)).toEqual([FLAGS.gob, FLAGS.msgpack, FLAGS.raw, FLAGS.json]);
    expect(flags.slice(4).every((each) => each === (FLAGS.proto | FLAGS.error))).toBe(true);
  });

  test.each(["Lock", "LockRead", "Release", "ForceRelease", "Exists", "UpdateTTL"])(
    "lock.%s is refused in the words of the original for a service it does not have",
    async (method) => {
      const peer = await fixture.connect();
      const [vector] = goldenFrames("rpc-lock-lock-request");
      const frame = framesOf(vector?.hex ?? "")[0];

      peer.send(
        request(
          FLAGS.proto,
          1,
          `lock.${method}`,
          frame?.payload.subarray(frame.options[1]),
        ),
      );
      const [answer] = await peer.answered(1);

      expect(answer?.body.toString()).toBe(`rpc: can't find service lock.${method}`);
    },
  );
});

/** Ids of types, 65 to 127, are the sender's own choice. */
function withoutIds(body: Buffer | undefined): string {
  return (body?.toString("latin1") ?? "").replaceAll(/\xff[\x80-\xff]/g, "\xff-");
}
