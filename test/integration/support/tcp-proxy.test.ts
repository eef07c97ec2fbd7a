import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { TcpProxy } from "../../support/tcp-proxy.ts";

/** Sends back what it is sent, and remembers it. */
class EchoServer {
  readonly server: Server;
  received = "";

  constructor() {
    this.server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        this.received += chunk.toString("latin1");
        socket.write(chunk);
      });
    });
  }

  async listen(): Promise<number> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return (this.server.address() as { port: number }).port;
  }
}

async function dial(proxy: TcpProxy): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

async function echo(socket: Socket, text: string): Promise<string> {
  let answer = "";
  socket.write(text);
  while (answer.length < text.length) {
    const [chunk] = (await once(socket, "data", { signal: AbortSignal.timeout(10_000) })) as [Buffer];
    answer += chunk.toString("latin1");
  }
  return answer;
}

/** Resolves when the connection is over, in whatever way. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on("error", () => undefined);
    socket.once("close", () => {
      resolve();
    });
  });
}

describe("the proxy of the fault tests", () => {
  let upstream: EchoServer;
  let proxy: TcpProxy;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    upstream = new EchoServer();
    proxy = await TcpProxy.listen({ host: "127.0.0.1", port: await upstream.listen() });
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy.close();
    upstream.server.close();
  });

  async function connected(): Promise<Socket> {
    const socket = await dial(proxy);
    sockets.push(socket);
    return socket;
  }

  test("passes everything on, both ways", async () => {
    expect(await echo(await connected(), "hello ".repeat(100_000))).toBe("hello ".repeat(100_000));
  });

  test("resets open connections when it is cut, and accepts new ones", async () => {
    const socket = await connected();
    await echo(socket, "a");

    const over = closed(socket);
    proxy.cut();
    await over;

    expect(await echo(await connected(), "b")).toBe("b");
  });

  test("resets new connections while it refuses", async () => {
    proxy.refuse();
    await closed(connect(proxy.port, "127.0.0.1"));

    proxy.restore();

    expect(await echo(await connected(), "c")).toBe("c");
  });

  test("lets nothing through while it is stalled, and everything afterwards", async () => {
    const socket = await connected();
    await echo(socket, "a");
    proxy.stall();
    const answer = echo(socket, "bcd");
    await echo(await dialPast(upstream), "past");
    expect(upstream.received).toBe("apast");

    proxy.restore();

    expect(await answer).toBe("bcd");
  });

  test("keeps the order while it is slow", async () => {
    const socket = await connected();
    proxy.slow(20);
    const startedAt = performance.now();

    expect(await echo(socket, "one two three")).toBe("one two three");

    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(38);
  });

  test("breaks off after so many bytes", async () => {
    const socket = await connected();
    await echo(socket, "a");
    const over = closed(socket);

    proxy.resetAfter(4);
    socket.write("0123456789");
    await over;

    expect(await echo(await connected(), "again")).toBe("again");
    expect(upstream.received).toBe("a0123again");
  });

  test("puts itself into the address of a broker", () => {
    const { port } = proxy;

    expect(proxy.through("amqp://guest:guest@127.0.0.1:5672")).toBe(`amqp://guest:guest@127.0.0.1:${port}`);
    expect(proxy.through("http://localhost:9324")).toBe(`http://127.0.0.1:${port}`);
  });

  async function dialPast({ server }: EchoServer): Promise<Socket> {
    const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  }
});
