import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { DriverServices } from "../../../src/domain/ports/driver-factory.ts";
import { findPackage } from "../../../src/infrastructure/drivers/find-package.ts";
import { ThirdPartyDriver } from "../../../src/infrastructure/drivers/third-party-driver.ts";
import { aPipeline } from "../../../src/testing/a-pipeline.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../src/testing/fake-metrics.ts";
import { FakeRandom } from "../../../src/testing/fake-random.ts";

const METHODS = "push(){}, pushBatch(){}, resume(){}, pause(){}, creditAvailable(){}, stats(){}, close(){}";
const REST = 'queue: "q", link: { t: "ready" }, capabilities: { storage: "broker", prefetch: 10 }';

/** A module whose factory builds what the text says. */
function moduleOf(driver: string, kind = "redis"): string {
  const create = `create: () => Promise.resolve({ ${driver} })`;
  return `export const createDriverFactory = () => ({ kind: "${kind}", optionNames: ["stream"], ${create} });`;
}

describe("a package with a driver", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "jobsd-packages-"));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function write(path: string, text: string): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }

  function install(source: string): ThirdPartyDriver {
    write("node_modules/some-driver/package.json", '{"type":"module","exports":"./main.js"}');
    write("node_modules/some-driver/main.js", source);
    return loaderOf("some-driver");
  }

  function loaderOf(name: string, section: DriverServices["section"] = {}): ThirdPartyDriver {
    const services = { clock: new FakeClock(), random: new FakeRandom(), metrics: new FakeMetrics() };
    return new ThirdPartyDriver("redis", name, [folder], { ...services, logger: new FakeLogger(), section });
  }

  test("gives the factory it exports", async () => {
    const factory = await install(moduleOf(`kind: "redis", ${METHODS}, ${REST}`)).load();
    const signal = new AbortController().signal;
    const sink = { credit: 0, deliver: () => undefined };

    const driver = await factory.create({ pipeline: aPipeline(), sink, timeoutMs: 1000 }, signal);

    expect([factory.kind, factory.optionNames, driver.queue]).toEqual(["redis", ["stream"], "q"]);
  });

  test("is given the section of its kind", async () => {
    const kept = 'throw new Error("got " + JSON.stringify(services.section))';
    install(`export function createDriverFactory(services) { ${kept} }`);

    await expect(loaderOf("some-driver", { addr: "127.0.0.1:6379" }).load()).rejects.toThrow(
      'jobsd.drivers.redis: package some-driver can not be used: got {"addr":"127.0.0.1:6379"}',
    );
  });

  test.each([
    ["exports nothing", "export {};", "does not export a function createDriverFactory"],
    [
      "exports something else",
      "export const createDriverFactory = 1;",
      "does not export a function createDriverFactory",
    ],
    ["throws when it is imported", 'throw new Error("no libc");', "can not be imported: no libc"],
    ["can not be read", "export {", "can not be imported"],
    ["gives no factory", "export const createDriverFactory = () => undefined;", "did not return a factory"],
    ["is of another kind", moduleOf("", "valkey"), 'is a driver of kind "valkey", write it as jobsd.drivers.valkey'],
    ["has no options", 'export const createDriverFactory = () => ({ kind: "redis" });', "no list optionNames"],
    [
      "can not create",
      'export const createDriverFactory = () => ({ kind: "redis", optionNames: [] });',
      "no function create",
    ],
  ])("is refused with its name and the reason when it %s", async (_what, source, reason) => {
    const loading = install(source).load();

    await expect(loading).rejects.toMatchObject({ code: "JOBS_CONFIG_INVALID" });
    await expect(loading).rejects.toThrow(`jobsd.drivers.redis: package some-driver`);
    await expect(loading).rejects.toThrow(reason);
  });

  test.each([
    ["no methods", REST, "no method push, pushBatch, resume, pause, creditAvailable, stats, close"],
    ["no queue", METHODS, "no name of its queue (queue)"],
    ["no link", `${METHODS}, queue: "q"`, "no state of its link (link)"],
    ["no capabilities", `${METHODS}, queue: "q", link: { t: "ready" }`, "no capabilities.storage"],
    [
      "no prefetch",
      `${METHODS}, queue: "q", link: { t: "ready" }, capabilities: { storage: "broker" }`,
      "no capabilities.prefetch",
    ],
  ])("fails the pipeline when what it builds has %s", async (_what, driver, reason) => {
    const factory = await install(moduleOf(driver)).load();
    const context = { pipeline: aPipeline(), sink: { credit: 0, deliver: () => undefined }, timeoutMs: 1000 };

    const creating = factory.create(context, new AbortController().signal);

    await expect(creating).rejects.toMatchObject({ code: "JOBS_PIPELINE_INVALID" });
    await expect(creating).rejects.toThrow(reason);
  });

  test("is missed with the command that installs it", async () => {
    const loading = loaderOf("jobsd-driver-redis").load();

    await expect(loading).rejects.toThrow("is not installed");
    await expect(loading).rejects.toThrow("try: npm install jobsd-driver-redis");
  });

  test.each([
    ["a text as exports", { exports: "./lib/a.js" }, "lib/a.js"],
    ["exports by condition", { exports: { types: "./a.d.ts", import: "./lib/a.js" } }, "lib/a.js"],
    ["exports by path and condition", { exports: { ".": { node: { default: "./lib/a.js" } } } }, "lib/a.js"],
    ["a main", { main: "lib/a.js" }, "lib/a.js"],
    ["neither", {}, "index.js"],
  ])("is found by a package.json with %s", (_what, manifest, file) => {
    write("node_modules/@acme/driver/package.json", JSON.stringify(manifest));
    write(`node_modules/@acme/driver/${file}`, "");

    const url = findPackage("@acme/driver", join(folder, "config", "deep"));

    expect(url).toBe(pathToFileURL(join(folder, "node_modules/@acme/driver", file)).href);
  });

  test("is found by a path", () => {
    write("driver.js", "");

    expect(findPackage("./driver.js", folder)).toBe(pathToFileURL(join(folder, "driver.js")).href);
    expect(findPackage("./other.js", folder)).toBeUndefined();
  });

  test("is not usable without its main module", () => {
    write("node_modules/broken/package.json", '{"main":"gone.js"}');

    expect(() => findPackage("broken", folder)).toThrow("gone.js does not exist");
  });
});
