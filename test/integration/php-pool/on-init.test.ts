import { describe, expect, test } from "@jest/globals";
import { type OnInitOptions, runOnInit } from "../../../src/adapters/php-pool/process/on-init.ts";
import { identityOf } from "../../../src/adapters/php-pool/process/process-identity.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { isAlive } from "../../support/real-pool.ts";

const never = new AbortController().signal;
const asRoot = process.getuid?.() === 0 ? test : test.skip;

/** Runs a shell script as `on_init` and tells what the log has then. */
async function onInit(
  script: string,
  options: Partial<OnInitOptions> = {},
  signal: AbortSignal = never,
): Promise<{ readonly log: FakeLogger; readonly error: Error | undefined }> {
  const log = new FakeLogger();
  const defaults: OnInitOptions = {
    command: ["sh", "-c", script],
    env: () => ({ PATH: process.env["PATH"] ?? "" }),
    execTimeoutMs: 20_000,
    exitOnError: false,
    identity: () => ({}),
  };
  const error = await runOnInit({ ...defaults, ...options }, new SystemClock(), log, signal).then(
    () => undefined,
    (reason: unknown) => reason as Error,
  );
  return { log, error };
}

describe("[POOL-18] the command before the workers", () => {
  test("runs to its end; what it writes is in the log, line by line", async () => {
    const { log, error } = await onInit("echo to stdout; printf 'to stderr without end' >&2", { exitOnError: true });

    expect(error).toBeUndefined();
    expect([...log.messages("info")].sort()).toEqual(["to stderr without end", "to stdout"]);
    expect(log.messages("error")).toEqual([]);
  });

  test("finds its own environment", async () => {
    const { log } = await onInit('echo "$APP_ENV $RR_RPC"', {
      env: () => ({ APP_ENV: "prod", RR_RPC: "tcp://127.0.0.1:6001" }),
    });

    expect(log.messages("info")).toEqual(["prod tcp://127.0.0.1:6001"]);
  });

  test.each([
    ["that fails", "exit 1", {}, "sh exited with code 1"],
    ["that is not there", "", { command: ["no-such-program"] }, 'worker program "no-such-program" was not found'],
    ["that takes too long", "sleep 600", { execTimeoutMs: 300 }, "startup process has been killed by timeout"],
  ])("%s is logged, and ends the start only if it is to", async (_, script, options, reason) => {
    const lenient = await onInit(script, options);
    const strict = await onInit(script, { ...options, exitOnError: true });

    expect(lenient.error).toBeUndefined();
    const [record] = lenient.log.records.filter(({ level }) => level === "error");
    expect(record?.message).toBe("on_init was finished with errors");
    expect(record?.fields["reason"]).toContain(reason);
    expect(strict.error?.message).toContain(reason);
  });

  test("is killed with what it has started", async () => {
    const { log } = await onInit("sleep 600 & echo $!; wait", { execTimeoutMs: 500 });

    const [child = ""] = log.messages("info");
    expect(isAlive(Number(child))).toBe(false);
  });

  test("does not hold the start up because something it left behind holds its output open", async () => {
    const { log, error } = await onInit("sleep 5 & echo done");

    expect([error, log.messages("info")]).toEqual([undefined, ["done"]]);
  });

  test("is ended when the start is cancelled", async () => {
    const cancel = new AbortController();
    const running = onInit("echo up; sleep 600", {}, cancel.signal);

    setImmediate(() => {
      cancel.abort();
    });

    expect((await running).error?.message).toContain("cancelled");
  });

  asRoot("runs as the user it is to (needs root)", async () => {
    const nobody = identityOf("nobody", "", { user: "server.on_init.user", group: "server.on_init.user" });

    const { log } = await onInit("id -u", { identity: () => nobody });

    expect(log.messages("info")).toEqual([String(nobody.uid)]);
  });

  test("as a user that does not exist is refused, whatever else was said", async () => {
    const { error } = await onInit("true", {
      identity: () => identityOf("no-such-user", "", { user: "server.on_init.user", group: "" }),
    });

    expect(error?.message).toBe('server.on_init.user: there is no user "no-such-user" on this machine');
  });
});
