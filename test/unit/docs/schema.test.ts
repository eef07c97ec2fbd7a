import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { jsonSchemaOf } from "../../../src/infrastructure/config/json-schema.ts";
import { keyDescriptions } from "../../../src/infrastructure/config/key-descriptions.ts";
import { rootSchema } from "../../../src/infrastructure/config/schema/root-schema.ts";

interface Node {
  readonly type?: unknown;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node | false;
}

const text = readFileSync("schema/jobsd.schema.json", "utf8");
const schema = JSON.parse(text) as Node;

function at(path: string): Node | undefined {
  return path.split(".").reduce<Node | undefined>((node, key) => {
    const below = node?.additionalProperties === false ? undefined : node?.additionalProperties;
    return key === "<name>" ? below : node?.properties?.[key];
  }, schema);
}

/** Dotted paths of all keys that are no section. */
function leaves(node: Node, path: string): readonly string[] {
  const map = node.additionalProperties === false ? undefined : node.additionalProperties;
  if (node.properties !== undefined) {
    return Object.entries(node.properties).flatMap(([key, child]) =>
      leaves(child, path === "" ? key : `${path}.${key}`),
    );
  }
  return map?.properties === undefined ? [path] : leaves(map, `${path}.<name>`);
}

describe("the JSON Schema for editors", () => {
  test("is up to date: `npm run schema` writes it", () => {
    const describeKey = keyDescriptions(readFileSync("docs/configuration.md", "utf8"));

    expect(`${JSON.stringify(jsonSchemaOf(rootSchema, describeKey), undefined, 2)}\n`).toBe(text);
  });

  test("describes every key of the sections that are served", () => {
    const served = /^(?:version|include|envfile|rpc|server|jobs|logs|endure|jobsd)\b/;
    const paths = leaves(schema, "").filter((path) => served.test(path));

    expect(paths.length).toBeGreaterThan(120);
    expect(paths.filter((path) => at(path)?.description === undefined)).toEqual([]);
  });

  test.each<[string, unknown]>([
    ["rpc.listen", "tcp://127.0.0.1:6001"],
    ["rpc.socket_mode", "0660"],
    ["endure.grace_period", "30s"],
    ["jobs.pool.allocate_timeout", "60s"],
    ["jobs.pools.<name>.dynamic_allocator.max_workers", 10],
    ["jobs.pipelines.<name>.priority", 10],
    ["jobs.pipelines.<name>.policy.on_nack", "dead_letter"],
    ["jobsd.pipelining.window", "2ms"],
    ["jobsd.pipelining.fence", true],
    ["jobsd.failed_store.max_age", "30d"],
    ["logs.file_logger_options.max_backups", 10],
    ["logs.channels.<name>.level", undefined],
  ])("has the default of %s", (path, expected) => {
    expect(at(path)).toBeDefined();
    expect(at(path)?.default).toEqual(expected);
  });

  test("is closed where a key would be reported as unknown, and open where drivers have their options", () => {
    expect(at("jobs.pool")?.additionalProperties).toBe(false);
    expect(at("jobs.pipelines.<name>")?.additionalProperties).toBeUndefined();
    expect(at("jobs.pipelines.<name>")?.properties).not.toHaveProperty("beside");
  });
});
