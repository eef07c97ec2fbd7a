import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { ERROR_CODES } from "../../../src/domain/errors.ts";

test("every error code has its heading in docs/errors.md, and no heading is left over", () => {
  const headings = [...readFileSync("docs/errors.md", "utf8").matchAll(/^## (.+)$/gm)].map((match) => match[1]);

  expect(headings).toEqual([...ERROR_CODES]);
});
