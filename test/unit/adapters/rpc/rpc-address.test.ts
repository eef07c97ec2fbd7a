import { resolve } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { isPublic, parseRpcAddress, phpDsn } from "../../../../src/adapters/rpc/rpc-address.ts";

describe("parseRpcAddress", () => {
  test.each([
    ["tcp://127.0.0.1:6001", { t: "tcp", host: "127.0.0.1", port: 6001 }],
    ["tcp://:6001", { t: "tcp", host: "", port: 6001 }],
    ["tcp://[::1]:6001", { t: "tcp", host: "::1", port: 6001 }],
    ["TCP://localhost:0", { t: "tcp", host: "localhost", port: 0 }],
    ["unix:///run/rr.sock", { t: "unix", path: "/run/rr.sock" }],
    ["unix://rr.sock", { t: "unix", path: resolve("rr.sock") }],
  ])("%s", (dsn, address) => {
    expect(parseRpcAddress(dsn)).toEqual(address);
  });

  test.each([
    "127.0.0.1:6001",
    "tcp://127.0.0.1",
    "tcp://127.0.0.1:70000",
    "tcp://::1:6001",
    "tcp://[nonsense]:6001",
    "udp://127.0.0.1:6001",
    "unix://a://b",
    "unix://",
    "",
  ])("%j is refused with the forms there are", (dsn) => {
    expect(() => parseRpcAddress(dsn)).toThrow(/^rpc.listen: invalid socket DSN .* expected tcp:\/\/host:port/);
  });
});

test.each([
  ["tcp://:6001", "tcp://127.0.0.1:4242"],
  ["tcp://0.0.0.0:6001", "tcp://127.0.0.1:4242"],
  ["tcp://[::]:6001", "tcp://127.0.0.1:4242"],
  ["tcp://10.1.2.3:6001", "tcp://10.1.2.3:4242"],
  ["tcp://[::1]:6001", "tcp://[::1]:4242"],
  ["unix:///run/rr.sock", "unix:///run/rr.sock"],
])("a server on %s is reached by PHP at %s", (listen, expected) => {
  expect(phpDsn(parseRpcAddress(listen), 4242)).toBe(expected);
});

test.each([
  ["tcp://:6001", true],
  ["tcp://10.1.2.3:6001", true],
  ["tcp://127.0.0.1:6001", false],
  ["tcp://localhost:6001", false],
  ["tcp://[::1]:6001", false],
  ["unix:///run/rr.sock", false],
])("%s can be reached from outside: %s", (listen, expected) => {
  expect(isPublic(parseRpcAddress(listen))).toBe(expected);
});
