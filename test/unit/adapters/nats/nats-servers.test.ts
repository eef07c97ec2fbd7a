import { describe, expect, test } from "@jest/globals";
import { parseNatsAddress } from "../../../../src/adapters/nats/nats-servers.ts";
import { InvalidPipelineError, messageOf } from "../../../../src/domain/errors.ts";

const PLAIN = { tls: false, user: undefined, pass: undefined, token: undefined };

function refusal(text: string): string {
  try {
    parseNatsAddress(text);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidPipelineError);
    return messageOf(error);
  }
  throw new Error(`${text} was accepted`);
}

describe("parseNatsAddress", () => {
  test.each([
    ["h", { ...PLAIN, servers: ["h:4222"] }],
    ["h:1", { ...PLAIN, servers: ["h:1"] }],
    ["nats://h:1/", { ...PLAIN, servers: ["h:1"] }],
    ["nats://u:p@h", { ...PLAIN, servers: ["h:4222"], user: "u", pass: "p" }],
    ["nats://u%40x:p%3A%2F@h", { ...PLAIN, servers: ["h:4222"], user: "u@x", pass: "p:/" }],
    ["s3cret@h", { ...PLAIN, servers: ["h:4222"], token: "s3cret" }],
    ["tls://h:2", { ...PLAIN, servers: ["h:2"], tls: true }],
    ["a:4222, nats://b:4223,", { ...PLAIN, servers: ["a:4222", "b:4223"] }],
    ["nats://u:p@a,b", { ...PLAIN, servers: ["a:4222", "b:4222"], user: "u", pass: "p" }],
    ["NATS://[::1]:4333", { ...PLAIN, servers: ["[::1]:4333"] }],
  ])("[NATS-38] reads %s", (text, expected) => {
    expect(parseNatsAddress(text)).toEqual(expected);
  });

  test.each([
    ["", "is empty"],
    [" , ", "is empty"],
    ["ws://h", "websocket"],
    ["wss://h", "websocket"],
    ["http://h", "scheme http://"],
    ["nats://h:99999", "port from 1 to 65535"],
    ["nats://h:x", "is no server"],
    ["nats://", "is no server"],
    ["u:p@a,v:q@b", "different credentials"],
    ["u:%zz@a", "%25"],
  ])("[NATS-38] refuses %s and says why", (text, reason) => {
    expect(refusal(text)).toContain(reason);
  });

  test("[NATS-38] a refusal never shows the address, which may have a password in it", () => {
    for (const text of ["ws://u:s3cret@h", "u:s3cret@a,v:s3cret2@b", "u:s3cret@h:x", "u:s3cret%@h"]) {
      expect(refusal(text)).not.toContain("s3cret");
    }
  });
});
