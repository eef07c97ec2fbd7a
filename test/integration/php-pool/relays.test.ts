import { createHash, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { encodeFrame, FLAGS } from "../../../src/adapters/goridge/frame.ts";
import type { ProcessIdentity } from "../../../src/adapters/php-pool/process/process-identity.ts";
import type { RelayAddress } from "../../../src/adapters/php-pool/process/relay-address.ts";
import { SocketRelays } from "../../../src/adapters/php-pool/process/socket-relays.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import type { PoolOptions } from "../../../src/adapters/php-pool/pool-options.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { describeWithPhp, describeWithStockPackages } from "../../support/php.ts";
import { isAlive, PHP_WORKER, RealPool, STOCK_WORKER, within } from "../../support/real-pool.ts";

const MAX_FRAME_BYTES = 256 * 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), "jobsd-relays-"));
let sockets = 0;

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function unixAddress(): RelayAddress & { readonly t: "unix" } {
  sockets += 1;
  return { t: "unix", path: join(folder, `${sockets}.sock`) };
}

const tcpAddress = (): RelayAddress => ({ t: "tcp", host: "127.0.0.1", port: 0 });

/** A listener for workers; dispose of it. */
class OpenRelays implements AsyncDisposable {
  readonly log = new FakeLogger();
  readonly relays: SocketRelays;

  private constructor(address: RelayAddress, identity: ProcessIdentity) {
    this.relays = new SocketRelays({ address, maxFrameBytes: MAX_FRAME_BYTES, identity }, new SystemClock(), this.log);
  }

  static async at(address: RelayAddress, identity: ProcessIdentity = {}): Promise<OpenRelays> {
    const open = new OpenRelays(address, identity);
    await open.relays.open();
    return open;
  }

  pool(options: Partial<PoolOptions> = {}): Promise<RealPool> {
    return RealPool.started(options, "none", { relays: this.relays });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.relays.close();
  }
}

/** Connects as some other program would. */
function stranger(dsn: string): Promise<Socket> {
  const [, host = "", port = ""] = /^tcp:\/\/([^:]+):(\d+)$/.exec(dsn) ?? [];
  const socket = host === "" ? connect(dsn.slice("unix://".length)) : connect(Number(port), host);
  socket.on("error", () => undefined);
  socket.resume();
  return within(
    new Promise((resolve) => {
      socket.once("connect", () => {
        resolve(socket);
      });
    }),
    "the connection",
  );
}

describeWithPhp("PHP workers that connect to the daemon", () => {
  test.each([
    ["tcp", tcpAddress],
    ["unix", unixAddress],
  ])("[POOL-14] over %s get every byte as it was, up to megabytes", async (_, address) => {
    await using open = await OpenRelays.at(address());
    await using world = await open.pool();
    const payloads = [
      Buffer.from([7]),
      Buffer.from(Array.from({ length: 256 }, (__, byte) => byte)),
      randomBytes(10 << 20),
    ];

    for (const payload of payloads) expect(await world.run("hash", "", payload)).toEqual({ t: "ack" });

    const told = world.events().filter(({ hash }) => hash !== undefined);
    expect(told.map(({ hash, bytes }) => [hash, bytes])).toEqual(
      payloads.map((payload) => [createHash("sha256").update(payload).digest("hex"), payload.length]),
    );
  });

  test("are replaced when they crash, break the protocol or take too long, as others are", async () => {
    await using open = await OpenRelays.at(unixAddress());
    await using world = await open.pool({ execTtlMs: 1000 });

    expect(await world.run("exit", "3")).toMatchObject({ t: "failed", reason: "crash" });
    expect(await world.run("frame", "ff".repeat(40))).toMatchObject({ t: "failed", reason: "protocol" });
    expect(await world.run("sleep", "300")).toMatchObject({ t: "failed", reason: "timeout" });
    expect(await world.run("ack")).toEqual({ t: "ack" });
  });

  test("may write to stdout: what they write is in the log", async () => {
    await using open = await OpenRelays.at(tcpAddress());
    await using world = await open.pool();

    expect(await world.run("garbage")).toEqual({ t: "ack" });

    await world.until(() => world.log.messages("info").includes("garbage on stdout!"), "the line in the log");
  });

  test("that are missing fail the start with what PHP says about it", async () => {
    await using open = await OpenRelays.at(tcpAddress());

    await expect(open.pool({ command: ["php", join(folder, "no-such.php")] })).rejects.toThrow(
      /Could not open input file/,
    );
  });

  test("that do not connect in time fail the start and are ended", async () => {
    await using open = await OpenRelays.at(tcpAddress());
    await using world = new RealPool({ allocateTimeoutMs: 1000, command: ["sleep", "600"] }, "none", {
      relays: open.relays,
    });

    await expect(world.pool.start(AbortSignal.timeout(20_000))).rejects.toThrow(/failed to spawn a worker/);

    expect(world.pool.workers()).toEqual([]);
  });

  test("[POOL-15, RPC-56] are started whatever else connects: garbage, silence, port scans", async () => {
    await using open = await OpenRelays.at(tcpAddress());
    const { dsn } = open.relays;
    const silent = await Promise.all(Array.from({ length: 20 }, () => stranger(dsn)));
    const garbage = await stranger(dsn);
    garbage.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (let scan = 0; scan < 20; scan++) (await stranger(dsn)).destroy();

    await using world = await open.pool();
    process.kill(world.pids[0] ?? 0, "SIGKILL");

    expect(await world.run("ack")).toMatchObject({ t: expect.stringMatching(/ack|not_started/) as unknown });
    await world.until(() => world.pool.free === 1, "another worker");
    expect(await world.run("ack")).toEqual({ t: "ack" });
    await world.until(() => garbage.closed, "the end of the connection with garbage");
    expect(open.log.messages("warn")).toContain("a connection to server.relay was turned away");
    for (const socket of silent) socket.destroy();
  });

  test("a process that is no worker of ours can not take the place of one", async () => {
    await using open = await OpenRelays.at(tcpAddress());
    const socket = await stranger(open.relays.dsn);

    socket.write(encodeFrame(FLAGS.control, [], [Buffer.from(JSON.stringify({ pid: process.pid }))]));

    await within(new Promise((resolve) => socket.once("close", resolve)), "the end of the connection");
  });

  test("[POOL-16] are found behind a wrapper that stays between", async () => {
    await using open = await OpenRelays.at(unixAddress());
    const script = PHP_WORKER.map((word) => `'${word}'`).join(" ");

    // The shell waits for PHP, so PHP is its child with another pid.
    await using world = await open.pool({ command: ["sh", "-c", `${script}; exit $?`] });

    expect(await world.run("ack")).toEqual({ t: "ack" });
    const [shell = 0] = world.pids;
    const php = (await world.event("job")).pid;
    expect(php).not.toBe(shell);
    process.kill(shell, "SIGKILL");
    await world.until(() => !isAlive(php), "PHP to be gone with its shell");
  });
});

describeWithStockPackages("the stock PHP packages over sockets", () => {
  test.each([
    ["tcp", tcpAddress],
    ["unix", unixAddress],
  ])("connect over %s, run jobs and end their loop on the stop frame", async (_, address) => {
    await using open = await OpenRelays.at(address());
    const world = await open.pool({ command: STOCK_WORKER, numWorkers: 2 });

    expect(await world.run("complete")).toEqual({ t: "ack" });
    expect(await world.run("fail")).toMatchObject({ t: "error", message: "broken" });
    await world.pool.stop(AbortSignal.timeout(10_000));

    expect(world.log.messages("info").filter((line) => line === "loop has ended")).toHaveLength(2);
    await world[Symbol.asyncDispose]();
  });
});

describe("the address workers connect to", () => {
  test("[POOL-14] a socket that a killed daemon left behind is replaced, and only its user may connect", async () => {
    const address = unixAddress();
    // The file of a listener that was not closed in order.
    const left = createServer();
    await new Promise<void>((resolve) => left.listen(address.path, resolve));
    renameSync(address.path, `${address.path}.kept`);
    await new Promise((resolve) => left.close(resolve));
    renameSync(`${address.path}.kept`, address.path);
    chmodSync(address.path, 0o777);

    await using open = await OpenRelays.at(address);

    expect(statSync(address.path).mode & 0o777).toBe(0o600);
    expect(open.relays.dsn).toBe(`unix://${address.path}`);
    await open.relays.close();
    expect(existsSync(address.path)).toBe(false);
  });

  test("[POOL-14] a socket on which somebody listens is refused, and so is a file that is none", async () => {
    const address = unixAddress();
    await using first = await OpenRelays.at(address);
    const file = unixAddress();
    writeFileSync(file.path, "precious");

    await expect(OpenRelays.at(address)).rejects.toThrow(/another process listens on .*: stop it/);
    await expect(OpenRelays.at(file)).rejects.toThrow(/is no socket/);
    await expect(stranger(first.relays.dsn)).resolves.toBeDefined();
  });

  test("a port that is taken is refused", async () => {
    await using first = await OpenRelays.at(tcpAddress());
    const port = Number(/\d+$/.exec(first.relays.dsn)?.[0]);

    await expect(OpenRelays.at({ t: "tcp", host: "127.0.0.1", port })).rejects.toThrow(/another process listens there/);
  });

  test("is shown to workers in a form PHP can use", async () => {
    await using open = await OpenRelays.at({ t: "tcp", host: "", port: 0 });

    expect(open.relays.dsn).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/);
  });
});
