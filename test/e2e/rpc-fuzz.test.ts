import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { headerCrc } from "../../src/adapters/goridge/header-crc.ts";
import { type FrameVector, goldenFrames } from "../golden/golden-frames.ts";
import { RpcPeer } from "../support/rpc-peer.ts";
import { Scene } from "../support/scene.ts";

/*
 * A million frames, with another seed each time:
 *
 *   JOBSD_FUZZ_FRAMES=1000000 npm run jest -- test/e2e/rpc-fuzz
 *
 * The seed is in the name of the test; JOBSD_FUZZ_SEED makes the same frames again.
 */
const FRAMES = Number(process.env["JOBSD_FUZZ_FRAMES"] ?? 20_000);
const SEED = Number(process.env["JOBSD_FUZZ_SEED"] ?? (FRAMES === 20_000 ? 20_261_129 : Date.now() % 2 ** 31));
const AT_ONCE = 50;
const PATIENCE_MS = 30_000;
const MAX_GROWTH_BYTES = 300 * 1024 * 1024;

jest.setTimeout(Math.max(180_000, FRAMES * 3));

/** Calls that start or stop processes: they would be made in earnest. */
const NOT_SENT = /addworker|removeworker|resetter-reset|AddWorker|RemoveWorker/i;

/** Numbers from 0 to below 2³², the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return (value ^ (value >>> 14)) >>> 0;
  };
}

/** Recorded bytes with one to four changes; the checksum is made right again in half of the cases. */
function mutated(next: () => number, vector: FrameVector): Buffer {
  let bytes = Buffer.from(vector.hex, "hex");
  for (let edits = 1 + (next() % 4); edits > 0 && bytes.length > 0; edits--) {
    const at = next() % bytes.length;
    switch (next() % 5) {
      case 0:
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (next() % 8));
        break;
      case 1:
        bytes[at] = next() & 0xff;
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([next() & 0xff]), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    }
  }
  if (bytes.length >= 12 && next() % 2 === 0) {
    if (next() % 2 === 0) bytes.writeUInt32LE(Math.max(0, bytes.length - ((bytes[0] ?? 0) & 0x0f) * 4), 2);
    bytes.writeUInt32LE(headerCrc(bytes, 0), 6);
  }
  return bytes;
}

function nonsense(next: () => number): Buffer {
  return Buffer.from(Array.from({ length: 1 + (next() % 200) }, () => next() & 0xff));
}

describe(`a daemon that is sent ${FRAMES} broken frames (seed ${SEED})`, () => {
  let scene: Scene;
  let dsn: string;

  beforeAll(async () => {
    const pipelines = "test-local: { driver: memory }, emails: { driver: memory }";
    scene = await Scene.open({ pipelines, consume: [], logLevel: "info" });
    const target = scene.daemon.rpcTarget;
    dsn = "path" in target ? `unix://${target.path}` : "";
  });

  afterAll(async () => {
    await scene.close();
  });

  /** Sends it on a connection of its own and waits until the daemon has closed that. */
  async function send(bytes: Buffer): Promise<void> {
    const peer = await RpcPeer.connect(dsn);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`not answered and not closed: ${bytes.toString("hex")}`));
      }, PATIENCE_MS);
    });
    try {
      peer.send(bytes);
      peer.halfClose();
      await Promise.race([peer.closedByServer(), late]);
    } finally {
      clearTimeout(timer);
      peer.destroy();
    }
  }

  function residentBytes(): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${scene.daemon.child.pid}/status`, "utf8"))?.[1]) * 1024;
  }

  test("[RPC-5] closes or answers each, lives, and keeps its memory", async () => {
    const next = random(SEED);
    const vectors = goldenFrames().filter(
      ({ name, hex }) =>
        /^(rpc|cli|msgpack|pipelining|malformed)-/.test(name) &&
        !NOT_SENT.test(name) &&
        !NOT_SENT.test(Buffer.from(hex, "hex").toString("latin1")),
    );
    for (const vector of vectors.filter(({ name }) => name.startsWith("malformed-"))) {
      await send(Buffer.from(vector.hex, "hex"));
    }
    const before = residentBytes();

    for (let sent = 0; sent < FRAMES; sent += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, FRAMES - sent) }, (_value, index) => {
        const vector = vectors[next() % vectors.length];
        return index % 2 === 0 || vector === undefined ? nonsense(next) : mutated(next, vector);
      });
      await Promise.all(batch.map(send));
    }

    expect(await scene.rpc.call("rpc.Version", true)).toBe("2025.1.15");
    expect(residentBytes() - before).toBeLessThan(MAX_GROWTH_BYTES);
    expect(scene.daemon.logged("an RPC method failed unexpectedly")).toEqual([]);
    expect(scene.daemon.logged("internal error, the daemon stops after its running jobs")).toEqual([]);
  });
});
