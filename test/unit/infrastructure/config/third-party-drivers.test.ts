import { describe, expect, test } from "@jest/globals";
import { load, MINIMAL, refused, warnings } from "./a-config.ts";

describe("drivers of others in a configuration", () => {
  test("are kinds and packages, with a section of their own that nobody else looks at", () => {
    const text = `${MINIMAL}jobsd: {drivers: {Redis: jobsd-driver-redis}}\nredis: {Addr: "127.0.0.1:6379", anything: [1]}`;

    const { config } = load(text);

    expect(config.jobsd.drivers).toEqual({ redis: "jobsd-driver-redis" });
    expect(config.source["redis"]).toEqual({ addr: "127.0.0.1:6379", anything: [1] });
    expect(warnings(text)).toEqual([]);
  });

  test("do not hide that a section without a driver has no effect", () => {
    expect(warnings(`${MINIMAL}redis: {addr: x}`)).toHaveLength(1);
  });

  test.each([
    ['redis: ""', "jobsd.drivers.redis: expected the name of an npm package"],
    ["jobs: some-driver", "jobsd.drivers.jobs: jobs is a section of the daemon and can be no kind of driver"],
  ])("are refused as %s", (driver, message) => {
    expect(refused(`${MINIMAL}jobsd: {drivers: {${driver}}}`).join("\n")).toContain(message);
  });
});
