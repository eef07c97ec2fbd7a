import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { DIFFERENCES, OWN_TEXT } from "../golden/rpc-differences.ts";
import { framesOf, type Outcome, outcomeOf, type Transcript, transcripts } from "../golden/rpc-transcripts.ts";
import { RpcPeer } from "../support/rpc-peer.ts";
import { Scene, testFile } from "../support/scene.ts";

jest.setTimeout(60_000);

const PATIENCE_MS = 20_000;
/** Calls without effect: made again until what went before has had its own. */
const LOOKS = /^(jobs\.(Stat|GetStats|List)|informer\.(Workers|Jobs))$/;

/** What the recorder did between two calls, which is not part of the recording. */
const BETWEEN: readonly (readonly [RegExp, (scene: Scene) => Promise<unknown>])[] = [
  [/^Pause: running pipeline \[json\]/, (scene) => scene.rpc.call("jobs.Resume", { pipelines: ["mem"] })],
  [/^Resume: paused pipeline \[json\]/, (scene) => scene.rpc.call("jobs.Pause", { pipelines: ["mem"] })],
  [/^Resume: not in consume \[json\]/, (scene) => scene.rpc.call("jobs.Pause", { pipelines: ["idle"] })],
  [
    /^List: with declared pipelines \[proto\]/,
    async (scene) => {
      await scene.rpc.call("jobs.Destroy", { pipelines: ["first", "first-j"] });
      for (const name of ["dyn", "dyn-json"]) await declare(scene, name);
    },
  ],
  [/^Destroy: known and unknown \[json\]/, (scene) => declare(scene, "dyn-json")],
  [
    /^Destroy: two \[json\]/,
    async (scene) => {
      for (const name of ["dyn", "prio-abc"]) await declare(scene, name);
    },
  ],
  [/^Destroy: one \[json\]/, (scene) => declare(scene, "prio-0")],
  [/^Destroy: configured/, (scene) => scene.rpc.call("jobs.Pause", { pipelines: ["idle"] })],
  [
    /^Push: 1,001st delayed job of a memory pipeline \[proto\]/,
    async (scene) => {
      await scene.rpc.call("jobs.Declare", { pipeline: { name: "late", driver: "memory" } });
      const jobs = Array.from({ length: 1000 }, (_value, n) => ({ pipeline: "late", id: `late-${n}`, delaySec: 3600 }));
      await scene.rpc.pushBatch(jobs);
    },
  ],
];

async function declare(scene: Scene, name: string): Promise<void> {
  await scene.rpc.call("jobs.Declare", { pipeline: { name, driver: "memory", priority: "5" } });
}

/** What the recorded answers say, without what this daemon does in another way for all calls. */
function recorded({ name, response, connection }: Transcript): readonly Outcome[] {
  if (response === null) return connection === undefined ? [] : [{ t: "closed" }];
  return framesOf(response.hex)
    .map((frame) => {
      const [, methodBytes = 0] = frame.options;
      const method = frame.payload.toString("utf8", 0, methodBytes);
      return asOurs(outcomeOf(frame.flags, method, frame.payload.subarray(methodBytes)));
    })
    .slice(0, name === "duplicate sequence id in flight" ? 1 : undefined);
}

/** There are no pipelines without a name, and none with priority 0: those have the default. */
function asOurs(outcome: Outcome): Outcome {
  if (outcome.t !== "reply") return outcome;
  const list = (items: unknown): unknown =>
    Array.isArray(items) ? items.filter((item) => item !== "" && !isUnnamed(item)).map(withPriority) : items;
  const { value } = outcome;
  if (Array.isArray(value)) return { ...outcome, value: list(value) };
  if (typeof value !== "object" || value === null) return outcome;
  return { ...outcome, value: Object.fromEntries(Object.entries(value).map(([key, child]) => [key, list(child)])) };
}

function isUnnamed(item: unknown): boolean {
  if (typeof item !== "object" || item === null) return false;
  return ("driver" in item && !("pipeline" in item)) || ("Driver" in item && !("Pipeline" in item));
}

function withPriority(item: unknown): unknown {
  if (typeof item !== "object" || item === null) return item;
  if ("driver" in item) return { priority: 10, ...item };
  return "Driver" in item ? { Priority: 10, ...item } : item;
}

function wanted(entry: Transcript): readonly Outcome[] {
  const theirs = recorded(entry);
  const difference = DIFFERENCES.find(({ names }) => names.test(entry.name));
  if (difference === undefined) return theirs;
  return (theirs.length === 0 ? [{ t: "closed" } as const] : theirs).map((outcome) => difference.ours(outcome, entry));
}

function matching(outcome: Outcome, method: string): unknown {
  if (outcome.t !== "error" || outcome.text !== OWN_TEXT) return outcome;
  const start = method === "jobs.Declare" ? "(?:jobs\\.Declare: |rpc_declare_pipeline:)" : `${method}: `;
  return { ...outcome, text: expect.stringMatching(new RegExp(`^${start}.{10}`, "s")) };
}

describe("every recorded call of RoadRunner's RPC, made to this daemon in the same order", () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.open({
      command: `php ${testFile("php/worker.php")}`,
      workers: 2,
      consume: ["mem"],
      more: "metrics: { address: '127.0.0.1:0' }",
      pipelines: "mem: { driver: memory, config: { priority: 10 } }, idle: { driver: memory, config: { priority: 3 } }",
    });
  });

  afterAll(async () => {
    await scene.close();
  });

  async function made(entry: Transcript, answers: number): Promise<readonly Outcome[]> {
    const target = scene.daemon.rpcTarget;
    const peer = await RpcPeer.connect("path" in target ? `unix://${target.path}` : "");
    try {
      peer.send(Buffer.from(entry.request.hex, "hex"));
      // What is only the beginning of something is answered, or closed, once the client has no more to say.
      if (entry.response === null) peer.halfClose();
      const received = await peer.answered(answers);
      if (received.length === 0) return [{ t: "closed" }];
      return received.slice(0, answers).map(({ flags, method, body }) => outcomeOf(flags, method, body));
    } finally {
      peer.destroy();
    }
  }

  async function until(entry: Transcript, expected: readonly unknown[]): Promise<readonly Outcome[]> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const outcomes = ordered(await made(entry, expected.length));
      try {
        expect(outcomes).toEqual(expected);
        return outcomes;
      } catch {
        if (!LOOKS.test(entry.method) || Date.now() > deadline) return outcomes;
      }
    }
  }

  test.each(transcripts().map((entry) => [entry.name, entry] as const))("%s", async (name, entry) => {
    for (const [names, act] of BETWEEN) if (names.test(name)) await act(scene);
    const expected = ordered(wanted(entry)).map((outcome) => matching(outcome, entry.method));

    expect(await until(entry, expected)).toEqual(expected);
  });

  test("each difference is one of a recorded call, and the daemon lives", async () => {
    const unused = DIFFERENCES.filter(({ names }) => !transcripts().some(({ name }) => names.test(name)));

    expect(unused).toEqual([]);
    expect(await scene.rpc.call("rpc.Version", true)).toBe("2025.1.15");
  });
});

function ordered(outcomes: readonly Outcome[]): readonly Outcome[] {
  return [...outcomes].sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
}
