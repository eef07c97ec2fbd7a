import { describe, expect, test } from "@jest/globals";
import {
  workerEnvironment,
  type WorkerEnvironmentSources,
  workerIdentity,
} from "../../../../src/adapters/php-pool/worker-environment.ts";

function environment(changes: Partial<WorkerEnvironmentSources>): Record<string, string> {
  const sources = { daemon: {}, relay: "pipes", rpcAddress: undefined, server: {}, version: "1.2.3" };
  return workerEnvironment({ ...sources, ...changes });
}

describe("the environment of a worker", () => {
  test("is the daemon's, and tells relay, version and mode", () => {
    const env = environment({ daemon: { HOME: "/root", GONE: undefined } });

    expect(env).toEqual({ HOME: "/root", RR_RELAY: "pipes", RR_VERSION: "1.2.3", RR_MODE: "jobs" });
  });

  test("names of server.env are written in upper case and win over the daemon's", () => {
    const env = environment({ daemon: { APP_ENV: "dev" }, server: { app_env: "prod", Key: "a$b" } });

    expect(env).toMatchObject({ APP_ENV: "prod", KEY: "a$b" });
  });

  test("server.env can change relay and RPC address, but neither version nor mode", () => {
    const server = { rr_relay: "a", rr_rpc: "b", rr_version: "c", rr_mode: "d" };

    const env = environment({ rpcAddress: "tcp://127.0.0.1:6001", server });

    expect(env).toMatchObject({ RR_RELAY: "a", RR_RPC: "b", RR_VERSION: "1.2.3", RR_MODE: "jobs" });
  });

  test("an RR_RPC the daemon inherited does not reach workers if there is no RPC server", () => {
    expect(environment({ daemon: { RR_RPC: "tcp://10.0.0.1:6001" } })).not.toHaveProperty("RR_RPC");
  });

  test("the address of the RPC is told as it is", () => {
    expect(environment({ rpcAddress: "unix:///run/rr.sock" })["RR_RPC"]).toBe("unix:///run/rr.sock");
  });

  test("a worker is told its pool and its place", () => {
    expect(workerIdentity("mails", 3)).toEqual({ RR_POOL: "mails", RR_WORKER_ID: "3" });
  });
});
