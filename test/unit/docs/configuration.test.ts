import { expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import * as z from "zod";
import { rootSchema } from "../../../src/infrastructure/config/schema/root-schema.ts";

const SECTIONS = ["rpc", "server", "jobs", "logs", "endure", "jobsd"] as const;

/** Dotted paths of the leaves below a section; those of pools and channels are written once. */
function keysOf(schema: z.ZodType, path: string): readonly string[] {
  if (path.endsWith(".policy")) return [];
  if (schema instanceof z.ZodRecord) return keysOf(schema.valueType as z.ZodType, `${path}.<name>`);
  if (!(schema instanceof z.ZodObject)) return [path];
  return Object.entries(schema.shape as Readonly<Record<string, z.ZodType>>)
    .filter(([key]) => key !== "beside")
    .flatMap(([key, child]) => keysOf(child, `${path}.${key}`));
}

test("every key of the sections that are served is in docs/configuration.md", () => {
  const text = readFileSync("docs/configuration.md", "utf8");

  const keys = SECTIONS.flatMap((section) => keysOf(rootSchema.shape[section], section));

  expect(keys.length).toBeGreaterThan(60);
  const written = keys.map((key) => key.replace("jobs.pools.<name>", "jobs.pool").replace("channels.<name>.", ""));
  expect(written.filter((key) => !text.includes(`\`${key}\``))).toEqual([]);
});
