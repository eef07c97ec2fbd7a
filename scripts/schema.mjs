// npm run schema: writes schema/jobsd.schema.json, for editors, from the schema the daemon reads its configuration with.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { prepare, root } from "./lib/prepare.mjs";

prepare((text) => console.log(`[schema] ${text}`));

const load = (name) => import(pathToFileURL(join(root, "dist/src/infrastructure/config", name)).href);
const { jsonSchemaOf } = await load("json-schema.js");
const { keyDescriptions } = await load("key-descriptions.js");
const { rootSchema } = await load("schema/root-schema.js");

const describe = keyDescriptions(readFileSync(join(root, "docs/configuration.md"), "utf8"));
mkdirSync(join(root, "schema"), { recursive: true });
writeFileSync(
  join(root, "schema/jobsd.schema.json"),
  `${JSON.stringify(jsonSchemaOf(rootSchema, describe), undefined, 2)}\n`,
);
