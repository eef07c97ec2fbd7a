import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { FLAGS } from "../../src/adapters/goridge/frame.ts";
import { RpcFixture } from "../support/rpc-fixture.ts";
import { request } from "../support/rpc-peer.ts";
import { type FrameVector, goldenFrames } from "./golden-frames.ts";

describe("malformed requests at a live server", () => {
  let fixture: RpcFixture;

  beforeAll(async () => {
    fixture = new RpcFixture();
    await fixture.server.start();
  });

  afterAll(async () => {
    await fixture.close();
  });

  async function outcomeOf(vector: FrameVector): Promise<string> {
    const peer = await fixture.connect();
    peer.send(Buffer.from(vector.hex, "hex"));
    if (vector.name.endsWith("then-half-close")) peer.halfClose();
    const [answer] = await peer.answered(1);
    if (answer === undefined) return "close";
    return (answer.flags & FLAGS.error) === 0 ? "accept" : "error-frame";
  }

  test.each(goldenFrames("malformed-").map((vector) => [vector.name, vector] as const))(
    "[RPC-4] %s: the recommended outcome, and the next connection is served",
    async (_name, vector) => {
      const outcome = await outcomeOf(vector);

      const next = await fixture.connect();
      next.send(request(FLAGS.json, 1, "rpc.Version", "true"));
      const answers = await next.answered(1);
      expect(outcome).toBe(vector.decoded.recommended);
      expect(answers[0]?.body.toString()).toBe('"2025.1.9"');
    },
  );
});
