import * as z from "zod";
import { knownKeys } from "./dotted-keys.ts";
import { type JsonSchema, NOTES } from "./schema/notes.ts";

/** Tells what a key means, by its dotted path (`jobs.pipelines.<name>.driver`); undefined if that is not written anywhere. */
export type Describe = (path: string) => string | undefined;

/** A key with a dot is a path to another one, which this schema can not follow. */
const DOTTED_KEYS: JsonSchema = { [String.raw`\.`]: {} };

/**
 * The JSON Schema of a configuration, for editors: types, defaults and limits from the schema the daemon reads with,
 * descriptions from the documentation. It is stricter than the daemon, which takes keys in any case.
 */
export function jsonSchemaOf(schema: z.ZodType, describe: Describe): JsonSchema {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Configuration of jobsd",
    ...schemaAt(schema, "", describe),
    required: ["version"],
  };
}

function schemaAt(schema: z.ZodType, path: string, describe: Describe): JsonSchema {
  const note = NOTES.get(schema) ?? {};
  const description = describe(path);
  const head = description === undefined ? {} : { description };
  if (schema instanceof z.ZodObject) return { ...head, ...sectionAt(schema, path, describe) };
  if (schema instanceof z.ZodRecord) {
    const value = schemaAt(schema.valueType as z.ZodType, below(path, "<name>"), describe);
    return { ...head, type: ["object", "null"], additionalProperties: value };
  }
  const written = note.written === undefined || note.written === "" ? {} : { default: note.written };
  return { ...head, ...(note.json ?? {}), ...written, ...remark(note.later ?? note.noEffect, head.description) };
}

function sectionAt(schema: z.ZodObject, path: string, describe: Describe): JsonSchema {
  const keys = Object.entries(knownKeys(schema));
  const properties = keys.map(([key, child]) => [key, schemaAt(child, below(path, key), describe)] as const);
  const open = NOTES.get(schema)?.restKey !== undefined;
  return {
    type: path === "" ? "object" : ["object", "null"],
    properties: Object.fromEntries(properties),
    ...(open ? {} : { patternProperties: DOTTED_KEYS, additionalProperties: false }),
  };
}

function remark(consequence: string | undefined, description: string | undefined): JsonSchema {
  if (consequence === undefined) return {};
  const first =
    description === undefined || description.startsWith("no effect") ? "No effect" : `${description}. No effect`;
  return { description: `${first}: ${consequence}.` };
}

function below(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
