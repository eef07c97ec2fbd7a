import * as z from "zod";

/** What the loader has to know about a key besides how its value is read. */
export interface KeyNote {
  /** The key is valid and does nothing yet: what that means for the operator. */
  readonly later?: string;
  /** A value of a `later` key that asks for nothing, so that there is nothing to say. */
  readonly off?: unknown;
  /** The key is valid and will never do anything: why. */
  readonly noEffect?: string;
  /** The section belongs to a part of RoadRunner this daemon does not stand in for. */
  readonly notServed?: boolean;
  /** An empty text, as an unset variable leaves it, means the default. */
  readonly emptyIsDefault?: boolean;
  /** A text given by `-o` is split at commas. */
  readonly commaList?: boolean;
  /** Of a section: the key of the result that takes what the section does not know; can not be written in a file. */
  readonly restKey?: string;
  /** How the value is written, as JSON Schema; for editors. */
  readonly json?: JsonSchema;
  /** The default as it would be written. */
  readonly written?: unknown;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

export const NOTES: z.core.$ZodRegistry<KeyNote> = z.registry<KeyNote>();

/** A key that is valid and does nothing yet; `off` is the value at which nothing is missing. */
export function later<T>(schema: z.ZodType<T>, consequence: string, off?: T): z.ZodType<T> {
  NOTES.add(schema, { ...NOTES.get(schema), later: consequence, off });
  return schema;
}

/** A section that is valid and does nothing yet, whatever it says. */
export function laterSection(consequence: string): z.ZodType {
  return later(z.unknown(), consequence);
}

/** A key of RoadRunner that has no effect here and needs none. */
export function noEffect(reason: string): z.ZodType {
  const schema = z.unknown();
  NOTES.add(schema, { noEffect: reason });
  return schema;
}

/** A section of another part of RoadRunner. */
export function notServed(): z.ZodType {
  const schema = z.unknown();
  NOTES.add(schema, { notServed: true });
  return schema;
}

/** Named things; their names are lower-cased, as RoadRunner does with every key. */
export function named<T extends z.ZodType>(schema: T): z.ZodRecord<z.ZodString, T> {
  return z.record(z.string(), schema);
}

/** Keys the section does not know go into the map at `restKey` instead of being reported. */
export function withRest<T extends z.ZodObject>(schema: T, restKey: keyof T["shape"] & string): T {
  NOTES.add(schema, { restKey });
  return schema;
}
