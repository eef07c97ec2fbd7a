import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { VERSION } from "../../../src/infrastructure/version.ts";

test("the version is that of the package", () => {
  const packageJson = JSON.parse(readFileSync("package.json", "utf8")) as { readonly version: string };

  expect(VERSION).toBe(packageJson.version);
});
