import { expect, test } from "@jest/globals";
import { resolveConfigPath } from "../../../../src/infrastructure/config/resolve-config-path.ts";

test("the daemon works in the directory of its configuration", () => {
  expect(resolveConfigPath("conf/rr.yaml", "", "/srv")).toEqual({ path: "/srv/conf/rr.yaml", directory: "/srv/conf" });
});

test("a working directory that is given comes first, and the configuration is looked up from it", () => {
  expect(resolveConfigPath("a.yaml", "x", "/srv")).toEqual({ path: "/srv/x/a.yaml", directory: "/srv/x" });
  expect(resolveConfigPath("/etc/a.yaml", "/x", "/srv")).toEqual({ path: "/etc/a.yaml", directory: "/x" });
});

test("an empty path is refused", () => {
  expect(() => resolveConfigPath("", "", "/srv")).toThrow("no configuration file provided");
});
