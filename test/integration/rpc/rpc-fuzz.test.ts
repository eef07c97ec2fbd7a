import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../../src/adapters/goridge/frame.ts";
import { goldenFrames } from "../../golden/golden-frames.ts";
import { RpcFixture } from "../../support/rpc-fixture.ts";
import { request, RpcPeer } from "../../support/rpc-peer.ts";

const ROUNDS = 10_000;
const AT_ONCE = 50;

describe("nonsense at a live server", () => {
  let folder: string;
  let fixture: RpcFixture;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jobsd-fuzz-"));
    fixture = new RpcFixture({ listen: `unix://${join(folder, "rpc.sock")}` });
    await fixture.server.start();
  });

  afterAll(async () => {
    await fixture.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Sends each on a connection of its own and waits until the server has closed it. */
  async function sendAll(next: () => Buffer): Promise<void> {
    for (let round = 0; round < ROUNDS; round += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, async () => {
          const peer = await RpcPeer.connect(fixture.server.phpDsn);
          peer.send(next());
          peer.halfClose();
          await peer.closedByServer();
          peer.destroy();
        }),
      );
    }
  }

  test("[RPC-5] random bytes and recorded frames with a flipped bit: every connection ends, memory stays", async () => {
    const vectors = goldenFrames("rpc-").concat(goldenFrames("cli-"));
    let count = 0;
    const flipped = (): Buffer => {
      const bytes = Buffer.from(vectors[count % vectors.length]?.hex ?? "", "hex");
      const bit = (count++ * 7919) % (bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return bytes;
    };
    const before = process.memoryUsage().rss;

    await sendAll(() => randomBytes(1 + (count++ % 200)));
    await sendAll(flipped);
    const peer = await fixture.connect();
    peer.send(request(FLAGS.json, 1, "rpc.Version"));

    expect((await peer.answered(1))[0]?.body.toString()).toBe('"2025.1.9"');
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
    expect(fixture.logger.messages("error")).toEqual([]);
  }, 120_000);
});
