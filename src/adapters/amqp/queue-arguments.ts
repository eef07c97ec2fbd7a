import { InvalidPipelineError } from "../../domain/errors.ts";

/** A value of an argument table as amqplib takes it: plain, or with the type it is to have on the wire. */
export type ArgumentValue =
  string | boolean | null | readonly ArgumentValue[] | { readonly "!": "int64" | "double"; readonly value: number };

export type ArgumentTable = Readonly<Record<string, ArgumentValue>>;

/** Arguments RabbitMQ wants as integers: a decimal text, which is all PHP can declare, is turned into one. */
const INTEGER_ARGUMENTS = new Set([
  "x-message-ttl",
  "x-expires",
  "x-max-length",
  "x-max-length-bytes",
  "x-max-priority",
  "x-delivery-limit",
  "x-consumer-timeout",
  "x-quorum-initial-group-size",
  "x-stream-max-segment-size-bytes",
]);

/** Longest short string of the protocol: names, keys, routing keys. */
export const MAX_SHORT_STRING_BYTES = 255;

/**
 * Integers become int64, other values keep their kind.
 *
 * @param option name for messages
 * @throws {InvalidPipelineError} a value RabbitMQ has no type for
 */
export function toArguments(option: string, values: Readonly<Record<string, unknown>>): ArgumentTable {
  const table = Object.create(null) as Record<string, ArgumentValue>;
  for (const [name, value] of Object.entries(values)) {
    checkShortString(`${option}: the name of an argument`, name);
    table[name] = toValue(`${option}.${name}`, integerTextOf(name, value) ?? value);
  }
  return table;
}

/** @throws {InvalidPipelineError} it does not fit into the protocol's short strings */
export function checkShortString(what: string, text: string): void {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes <= MAX_SHORT_STRING_BYTES) return;
  throw new InvalidPipelineError(`option ${what} must have at most ${MAX_SHORT_STRING_BYTES} bytes, has ${bytes}`);
}

function integerTextOf(name: string, value: unknown): number | undefined {
  if (typeof value !== "string" || !INTEGER_ARGUMENTS.has(name) || !/^\s*[-+]?\d+\s*$/.test(value)) return undefined;
  return Number(value);
}

function toValue(path: string, value: unknown): ArgumentValue {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return { "!": "int64", value };
    if (Number.isFinite(value) && !Number.isInteger(value)) return { "!": "double", value };
  }
  if (Array.isArray(value)) return value.map((item: unknown, index) => toValue(`${path}[${index}]`, item));
  throw new InvalidPipelineError(
    `option ${path}: expected a text, a number, true, false or a list of them, got ${shown(value)}`,
  );
}

/** At most 80 characters, also of what has no JSON. */
function shown(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  return (json ?? typeof value).slice(0, 80);
}
