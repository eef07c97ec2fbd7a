import { describe, expect, test } from "@jest/globals";
import { parseBeanstalkAddress } from "../../../../src/adapters/beanstalk/beanstalk-address.ts";
import { type BeanstalkOptions, parseBeanstalkOptions } from "../../../../src/adapters/beanstalk/beanstalk-options.ts";
import { InvalidPipelineError } from "../../../../src/domain/errors.ts";
import { PipelineSettings } from "../../../../src/domain/pipeline-settings.ts";
import { aPipeline } from "../../../../src/testing/a-pipeline.ts";

const DEFAULTS = { timeoutMs: 30_000 };

function yaml(config: Readonly<Record<string, unknown>>): BeanstalkOptions {
  return parseBeanstalkOptions(aPipeline({ settings: new PipelineSettings({ config }) }), DEFAULTS);
}

function declared(options: Readonly<Record<string, string>>): BeanstalkOptions {
  return parseBeanstalkOptions(aPipeline({ settings: new PipelineSettings(options), origin: "declared" }), DEFAULTS);
}

describe("options of a pipeline", () => {
  test("have RoadRunner's defaults, which differ between the file and Declare", () => {
    const common = { tube: "default", prefetch: 10, ttrSec: 30, onNack: undefined };

    expect(yaml({})).toEqual({ ...common, tubePriority: 0, reserveTimeoutSec: 1 });
    expect(declared({})).toEqual({ ...common, tubePriority: 1, reserveTimeoutSec: 5 });
  });

  test("are the same from numbers and from texts", () => {
    const options = { tube: "t", tube_priority: 7, reserve_timeout: 3, prefetch: 4, ttr: 60, on_nack: "bury" };
    const texts = Object.fromEntries(Object.entries(options).map(([name, value]) => [name, String(value)]));

    expect(declared(texts)).toEqual(yaml(options));
    expect(yaml({ reserve_timeout: "3s", ttr: "1m" })).toMatchObject({ reserveTimeoutSec: 3, ttrSec: 60 });
  });

  test.each([
    [5, 5],
    ["5", 5],
    ["500ms", 1],
    ["1500ms", 2],
    [0, 1],
    ["0s", 1],
  ])("[BEAN-35] reserve_timeout %p is %p seconds, never a busy loop", (value, seconds) => {
    expect(yaml({ reserve_timeout: value }).reserveTimeoutSec).toBe(seconds);
  });

  test.each([
    ["tube_priority", -1],
    ["tube_priority", 2 ** 32],
    ["tube_priority", "high"],
    ["tube", "two words"],
    ["tube", "line\r\nend"],
    ["tube", "x".repeat(201)],
    ["tube", "-leading"],
    ["tube", "über"],
    ["reserve_timeout", "soon"],
    ["reserve_timeout", -1],
    ["ttr", 4],
    ["prefetch", 1001],
    ["on_nack", "drop"],
  ])("[BEAN-34] %s %p is refused by name", (name, value) => {
    expect(() => yaml({ [name]: value })).toThrow(InvalidPipelineError);
    expect(() => yaml({ [name]: value })).toThrow(new RegExp(`^option ${name}:`));
  });

  test("every character beanstalkd knows may be in the name of a tube, 200 times", () => {
    for (const tube of ["a-+/;.$_()Z09", "0123", "x".repeat(200)]) expect(yaml({ tube }).tube).toBe(tube);
  });

  test("the time to run is the timeout of the section, but no less than 5 s", () => {
    const pipeline = aPipeline();

    expect(parseBeanstalkOptions(pipeline, { timeoutMs: 10_500 }).ttrSec).toBe(10);
    expect(parseBeanstalkOptions(pipeline, { timeoutMs: 500 }).ttrSec).toBe(5);
  });
});

describe("the server's address", () => {
  test.each([
    ["tcp://127.0.0.1:11300", { t: "tcp", host: "127.0.0.1", port: 11300, family: 0 }],
    ["tcp4://queue.local:1", { t: "tcp", host: "queue.local", port: 1, family: 4 }],
    ["tcp6://[::1]:65535", { t: "tcp", host: "::1", port: 65535, family: 6 }],
    ["tcp://:11300", { t: "tcp", host: "localhost", port: 11300, family: 0 }],
    ["unix:///run/beanstalkd.sock", { t: "unix", path: "/run/beanstalkd.sock" }],
    ["unix://beanstalk.sock", { t: "unix", path: "beanstalk.sock" }],
  ])("%s", (addr, address) => {
    expect(parseBeanstalkAddress(addr)).toEqual(address);
  });

  test.each([
    "127.0.0.1:11300",
    "tcp://127.0.0.1",
    "tcp://h:0",
    "tcp://h:65536",
    "http://h:80",
    "unix://",
    "tcp://::1:5",
  ])("%s is refused with RoadRunner's text", (addr) => {
    expect(() => parseBeanstalkAddress(addr)).toThrow(
      `invalid socket DSN (tcp://127.0.0.1:11300, unix://beanstalk.sock), provided: ${addr}`,
    );
  });
});
