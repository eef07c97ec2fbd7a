import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { fromBinary } from "@bufbuild/protobuf";
import { encodeFrame, type Frame } from "../../src/adapters/goridge/frame.ts";
import { FrameReader } from "../../src/adapters/goridge/frame-reader.ts";
import { PipelinesSchema, StatsSchema } from "../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import type { PipelineStat } from "../../src/application/stat-pipelines.ts";
import { RpcFixture } from "../support/rpc-fixture.ts";

interface Transcript {
  readonly name: string;
  readonly request: { readonly hex: string };
  readonly response: { readonly hex: string } | null;
}

/**
 * Cases whose outcome depends on the RPC layer alone: those of List, Push, PushBatch, Destroy and the error texts, with
 * fake use cases in the state the daemon was in. The rest needs drivers, and is replayed against the whole daemon.
 */
const PIPELINES: Readonly<Record<string, readonly string[]>> = {
  "Destroy: known and unknown": ["dyn-json"],
  "Destroy: two": ["prio-abc", "dyn"],
  "Destroy: one": ["prio-0"],
  "Destroy: configured, paused, three jobs waiting": ["idle"],
  "Declare: existing (declared)": ["dyn"],
  "Declare: existing (configured)": ["mem"],
};

const REPLAYED = [
  /^List: (two pipelines|empty body|null) /,
  /^Stat: one consuming, one not /,
  /^Push: (happy|headers|delay 1 s|negative|empty|unknown pipeline|pipeline that is|job without|destroyed)/,
  /^Push: (broken protobuf|invalid UTF-8|other letter case|unknown keys|JSON body under|no codec flag)/,
  /^Push: PROTO\|(JSON|GOB)/,
  /^PushBatch: (two|no job)/,
  /^(Pause|Resume): no name/,
  /^Declare: (memory|existing|no driver|empty map)/,
  /^Destroy: /,
  /^(unknown method|unknown service|no dot|lower-case method|empty method)/,
];

/** Ours differs on purpose: another text, or JSON whose text is our own. */
const OTHER_TEXT: Readonly<Record<string, string>> = {
  "Destroy: known and unknown": " (destroyed: dyn-json)",
};

function transcripts(): readonly Transcript[] {
  const file = new URL("./rpc-transcripts.json", import.meta.url);
  const { cases } = JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly Transcript[] };
  return cases;
}

function frameOf(hex: string): Frame {
  const reader = new FrameReader({ maxPayloadBytes: 1 << 20 });
  reader.push(Buffer.from(hex, "hex"));
  const frame = reader.next();
  if (frame === undefined) throw new Error("no frame");
  return frame;
}

/** Name without the codec. */
function base(name: string): string {
  return name.replace(/ \[\w+\]$/, "");
}

function bodyOf(frame: Frame): Buffer {
  return frame.payload.subarray(frame.options[1] ?? 0);
}

/** Lists of pipelines are in no order in the original. */
function comparable(method: string, frame: Frame): unknown {
  const body = bodyOf(frame);
  if (frame.flags === 0x80 && /List|Destroy/.test(method)) return [...fromBinary(PipelinesSchema, body).pipelines].sort();
  if (frame.flags === 0x80 && method.endsWith("Stat")) return fromBinary(StatsSchema, body).stats;
  if (frame.flags === 0x08) return sorted(JSON.parse(body.toString()));
  return body.toString().replace("proto:\u00a0", "proto: ");
}

function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("pipelines" in value)) return value;
  return { pipelines: (value.pipelines as readonly string[]).toSorted() };
}

describe("recorded calls of jobs.*", () => {
  let fixture: RpcFixture;
  const cases = transcripts().filter(({ name }) => REPLAYED.some((pattern) => pattern.test(name)));

  beforeAll(async () => {
    fixture = new RpcFixture();
    const stat: PipelineStat = {
      pipeline: "mem",
      driver: "memory",
      queue: "mem",
      priority: 10,
      active: 0,
      delayed: 0,
      reserved: 0,
      ready: true,
      error: "",
    };
    fixture.useCases.stats = [stat, { ...stat, pipeline: "idle", queue: "idle", priority: 3, ready: false }];
    await fixture.server.start();
  });

  afterAll(async () => {
    await fixture.close();
  });

  test("the patterns select what they are meant to", () => {
    expect(cases.length).toBeGreaterThan(70);
  });

  test.each(cases.map((entry) => [entry.name, entry] as const))("%s", async (name, entry) => {
    fixture.useCases.pipelines = [...(PIPELINES[base(name)] ?? ["mem", "idle"])];
    const expected = frameOf(entry.response?.hex ?? "");
    const peer = await fixture.connect();

    peer.send(Buffer.from(entry.request.hex, "hex"));
    const [answer] = await peer.answered(1);

    expect(answer).toBeDefined();
    if (answer === undefined) return;
    const method = Buffer.from(answer.method);
    const actual = frameOf(encodeFrame(answer.flags, [answer.id, method.length], [method, answer.body]).toString("hex"));
    const suffix = OTHER_TEXT[base(name)];
    const wanted = comparable(answer.method, expected);
    expect([actual.flags, actual.options]).toEqual([expected.flags, expected.options]);
    expect(comparable(answer.method, actual)).toEqual(suffix === undefined ? wanted : `${String(wanted)}${suffix}`);
  });
});
