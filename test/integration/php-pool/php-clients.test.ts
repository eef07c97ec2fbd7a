import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { FrameReader } from "../../../src/adapters/goridge/frame-reader.ts";
import { encodeFrame, FLAGS, type Frame } from "../../../src/adapters/goridge/frame.ts";
import { describeWithPhp, describeWithStockPackages } from "../../support/php.ts";
import { within } from "../../support/real-pool.ts";
import { repositoryFile } from "../../support/repository.ts";

/** A peer that remembers requests and answers each with the same reply. */
class RecordingPeer {
  readonly requests: { readonly method: string; readonly flags: number; readonly body: Buffer }[] = [];
  reply = Buffer.alloc(0);
  /** Text of an error in place of the reply. */
  error = "";
  readonly #server: Server = createServer((socket) => {
    const reader = new FrameReader({ maxPayloadBytes: 10_000_000 });
    socket.on("data", (chunk) => {
      reader.push(Buffer.from(chunk));
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) socket.write(this.#answer(frame));
    });
  });

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("not listening");
    return `tcp://127.0.0.1:${address.port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }

  #answer(frame: Frame): Buffer {
    const [sequence = 0, methodBytes = 0] = frame.options;
    const method = frame.payload.subarray(0, methodBytes);
    this.requests.push({
      method: method.toString(),
      flags: frame.flags,
      body: Buffer.from(frame.payload.subarray(methodBytes)),
    });
    if (this.error === "") return encodeFrame(frame.flags, [sequence, methodBytes], [method, this.reply]);
    return encodeFrame(frame.flags | FLAGS.error, [sequence, methodBytes], [method, Buffer.from(this.error)]);
  }
}

let peer: RecordingPeer;

beforeEach(async () => {
  peer = new RecordingPeer();
  await peer.listen();
});

afterEach(() => peer.close());

/** Runs a PHP program to its end. */
async function php(
  script: string,
  ...args: readonly string[]
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn("php", [repositoryFile(script), peer.address, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await within(once(child, "close"), "the end of the client")) as [number | null];
  return { code, output };
}

describeWithPhp("our PHP client", () => {
  test("calls a method over the JSON codec and prints the reply", async () => {
    peer.reply = Buffer.from('{"pipelines":["a"]}');

    const { code, output } = await php("test/php/client.php", "json", "jobs.List");

    expect({ code, output }).toEqual({ code: 0, output: '{"pipelines":["a"]}\n' });
    expect(peer.requests).toEqual([{ method: "jobs.List", flags: FLAGS.json, body: Buffer.from("{}") }]);
  });

  test("ends with the daemon's error", async () => {
    peer.error = "rpc_push: empty ID field not allowed";

    const { code, output } = await php("test/php/client.php", "push", "p", "n", "", "payload");

    expect(code).toBe(255);
    expect(output).toContain("rpc_push: empty ID field not allowed");
  });
});

describeWithStockPackages("our PHP client and the stock one", () => {
  test("push a job with the same bytes", async () => {
    const headers = '{"a":["1","2"],"é":["€"]}';
    const { output } = await php("test/php/stock-client.php", "push", "mails", "mail.send", "payload", headers, "300");
    const id = output.trim();
    expect(id).toMatch(/^[0-9a-f-]{36}$/);

    await php("test/php/client.php", "push", "mails", "mail.send", id, "payload", headers, "300");

    const [stock, ours] = peer.requests;
    expect(stock).toMatchObject({ method: "jobs.Push", flags: FLAGS.proto });
    expect(ours).toEqual(stock);
  });

  test("push a batch to the same method", async () => {
    const { output } = await php("test/php/stock-client.php", "batch", "mails", "mail.send", "3");
    await php("test/php/client.php", "batch", "mails", "mail.send", "3");

    expect(output).toBe("3\n");
    expect(peer.requests.map(({ method, flags }) => ({ method, flags }))).toEqual([
      { method: "jobs.PushBatch", flags: FLAGS.proto },
      { method: "jobs.PushBatch", flags: FLAGS.proto },
    ]);
  });
});
