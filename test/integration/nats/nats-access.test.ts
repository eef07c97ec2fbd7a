import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, jest, test } from "@jest/globals";
import { nkeys } from "nats";
import { messageOf } from "../../../src/domain/errors.ts";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker } from "../../support/brokers.ts";
import { eventually, NatsWorld, type TestPipeline } from "../../support/nats-world.ts";

jest.setTimeout(120_000);

/** The library re-exports these without their types. */
interface KeyMaker {
  createUser(): { getPublicKey(): string; getSeed(): Uint8Array };
}

const user = (nkeys as KeyMaker).createUser();
const ACCOUNTS = `authorization { users: [ { user: jobs, password: s3cret }, { nkey: ${user.getPublicKey()} } ] }`;

/** Texts of everything that was logged, errors and their causes included. */
function logged(pipeline: TestPipeline): string {
  return JSON.stringify(pipeline.log.records, (_key, value: unknown) =>
    value instanceof Error ? `${messageOf(value)} ${messageOf(value.cause)}` : value,
  );
}

/** Lines of a server's configuration that can be changed between two starts: a file it includes. */
class Settings {
  readonly #folder = mkdtempSync(join(tmpdir(), "jobsd-nats-settings-"));

  /** The server's own folder lies beside ours, one deeper. */
  get line(): string {
    return `include "../../${basename(this.#folder)}/settings.conf"`;
  }

  write(text: string): void {
    writeFileSync(join(this.#folder, "settings.conf"), `${text}\n`);
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

describeWithPrivateBroker("nats", "a server that lets not everybody in", () => {
  let broker: PrivateBroker;
  const settings = new Settings();

  beforeAll(async () => {
    settings.write(ACCOUNTS);
    broker = await startPrivateBroker("nats", { lines: [settings.line] });
  }, 300_000);

  afterAll(async () => {
    await broker.dispose();
    settings.remove();
  });

  const address = (userInfo: string): string => broker.address.replace("nats://", `nats://${userInfo}@`);

  test("[NATS-38] user and password of the address, or of their own keys, or a key seed, are used", async () => {
    const seed = Buffer.from(user.getSeed()).toString();
    const ways = [
      { from: address("jobs:s3cret"), servers: {} },
      { from: broker.address, servers: { user: "jobs", pass: "s3cret" } },
      { from: broker.address, servers: { nkeySeed: seed } },
    ];
    for (const { from, servers } of ways) {
      const world = await NatsWorld.openWithoutPeer(from);
      const pipeline = await world.pipeline({}, { servers });
      await pipeline.push();
      expect(pipeline.driver.link).toEqual({ t: "ready" });
      await world.close();
    }
  });

  test("[NATS-38] the first server of a list may be dead", async () => {
    const world = await NatsWorld.openWithoutPeer(`127.0.0.1:1,${address("jobs:s3cret").replace("nats://", "")}`);
    const pipeline = await world.pipeline();
    await pipeline.push();
    await world.close();
  });

  test("[NATS-38] a wrong password is told without showing it", async () => {
    const world = await NatsWorld.openWithoutPeer(address("jobs:wr0ng"));
    const pipeline = await world.pipeline({}, { timeoutMs: 1500 });

    const push = pipeline.push().catch(messageOf);

    expect(pipeline.driver.link).toMatchObject({ reason: expect.stringContaining("refused the credentials") });
    expect(await push).not.toContain("wr0ng");
    expect(logged(pipeline)).not.toContain("wr0ng");
    await world.close();
  });

  test("[NATS-39] a password the server takes no more is tried on and on, and works once it takes it again", async () => {
    const world = await NatsWorld.openWithoutPeer(address("jobs:s3cret"));
    const pipeline = await world.pipeline();
    await pipeline.push({ id: "before" });
    pipeline.sink.acknowledgeAll();
    await pipeline.resume();

    settings.write(ACCOUNTS.replace("s3cret", "rotated"));
    await broker.restart();
    const refused = (): boolean => {
      const { link } = pipeline.driver;
      return link.t !== "ready" && link.t !== "closed" && link.reason.includes("refused the credentials");
    };
    await eventually("refusals", refused);
    settings.write(ACCOUNTS);
    await broker.restart();

    await eventually("the link to be ready", () => pipeline.driver.link.t === "ready");
    await pipeline.push({ id: "after" });
    await eventually("the job", () => pipeline.sink.ids.includes("after"));
    await world.close();
  });

  test("[NATS-38] encryption that was asked for is never left out", async () => {
    const world = await NatsWorld.openWithoutPeer(address("jobs:s3cret").replace("nats://", "tls://"));
    const pipeline = await world.pipeline({}, { timeoutMs: 1000 });

    expect(pipeline.driver.link).toMatchObject({ reason: "nats: the server does not offer TLS, which was asked for" });
    await world.close();
  });

  test("a server that asks for encryption gets it, and must have a certificate of the named authority", async () => {
    const [cert, key] = [settings.file("cert.pem"), settings.file("key.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    const made = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", cert];
    execFileSync("openssl", ["req", ...made, ...subject], { stdio: "ignore" });
    settings.write(`${ACCOUNTS}\ntls { cert_file: "${cert}", key_file: "${key}" }`);
    await broker.restart();
    const from = address("jobs:s3cret").replace("127.0.0.1", "localhost");
    const tls = { enabled: true, caPath: cert, certPath: "", keyPath: "", handshakeFirst: false };

    const trusting = await NatsWorld.openWithoutPeer(from);
    await (await trusting.pipeline({}, { servers: { tls } })).push();
    await trusting.close();
    const other = await NatsWorld.openWithoutPeer(from);
    const pipeline = await other.pipeline({}, { servers: { tls: { ...tls, caPath: "" } }, timeoutMs: 1000 });
    expect(pipeline.driver.link).toMatchObject({ reason: expect.stringContaining("self-signed certificate") });
    await other.close();
    const missing = await NatsWorld.openWithoutPeer(from);
    const without = await missing.pipeline(
      {},
      { servers: { tls: { ...tls, caPath: "/nowhere.pem" } }, timeoutMs: 1000 },
    );
    expect(without.driver.link).toMatchObject({ reason: expect.stringContaining("/nowhere.pem can not be read") });
    await missing.close();
    settings.write(ACCOUNTS);
    await broker.restart();
  });

  test("something that is no NATS server is told", async () => {
    const other = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { readonly port: number };
    const world = await NatsWorld.openWithoutPeer(`127.0.0.1:${port}`);

    const pipeline = await world.pipeline({}, { timeoutMs: 1000 });

    expect(logged(pipeline)).toContain("is no NATS server");
    await world.close();
    other.close();
  });
});

describeWithPrivateBroker("nats", "an account without JetStream", () => {
  test("[NATS-31] is told, and is used once it has JetStream", async () => {
    const settings = new Settings();
    const account = (more: string): string =>
      `accounts { A { ${more} users: [ { user: a, password: b } ] } }\nno_auth_user: a`;
    settings.write(account(""));
    const broker = await startPrivateBroker("nats", { lines: [settings.line] });
    const world = await NatsWorld.openWithoutPeer(broker.address);
    try {
      const pipeline = await world.pipeline({}, { timeoutMs: 20_000 });
      const early = pipeline.driver.resume(AbortSignal.timeout(500)).catch((error: unknown) => error);
      expect(await early).toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE", retryable: true });
      expect(pipeline.driver.link).toMatchObject({ reason: expect.stringContaining("JetStream is not enabled") });

      settings.write(account("jetstream: enabled,"));
      await broker.restart();

      await pipeline.push({ id: "late" });
      await eventually("the job", () => pipeline.sink.ids.includes("late"));
    } finally {
      await world.close();
      await broker.dispose();
      settings.remove();
    }
  }, 180_000);
});
