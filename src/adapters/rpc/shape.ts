/**
 * Form of an argument or a reply, from which every codec is derived. A method names the shapes of what it takes and
 * gives and knows nothing of codecs; a codec knows nothing of methods.
 */
export interface Shape<T> {
  /** Protobuf form; `undefined` where the value is no message. */
  readonly protobuf: ProtobufForm<T> | undefined;

  /** What an empty body stands for. */
  zero(): T;

  /**
   * Reads a value that came out of `JSON.parse`, as leniently as Go's decoder (see README).
   *
   * @throws {ShapeError} the value does not fit
   */
  fromJson(value: unknown): T;

  /** JSON text as Go writes it: snake_case names, 64-bit integers as numbers, bytes as base64, empty fields left out. */
  toJson(value: T): string;
}

export interface ProtobufForm<T> {
  /** @throws {ShapeError} the bytes are no such message; the message is RoadRunner's text */
  decode(body: Uint8Array): T;
  encode(value: T): Uint8Array;
}

/** A body that does not have the shape of the argument. */
export class ShapeError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ShapeError";
  }
}

/** How a value of a JSON document is called in errors. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : "a fraction";
  if (typeof value === "object") return "an object";
  return `a ${typeof value}`;
}

const EMPTY_BODY = new Uint8Array(0);

/** Argument or reply without content: a protobuf message without fields, `{}` in JSON. What is sent is not looked at. */
export const NOTHING: Shape<undefined> = {
  protobuf: { decode: () => undefined, encode: () => EMPTY_BODY },
  zero: () => undefined,
  fromJson: () => undefined,
  toJson: () => "{}",
};

/** `true`, `false` or `null`. */
export const BOOLEAN: Shape<boolean> = {
  protobuf: undefined,
  zero: () => false,
  fromJson(value) {
    if (value === null) return false;
    if (typeof value !== "boolean") throw new ShapeError(`expected a boolean, got ${kindOf(value)}`);
    return value;
  },
  toJson: (value) => (value ? "true" : "false"),
};

export const TEXT: Shape<string> = {
  protobuf: undefined,
  zero: () => "",
  fromJson(value) {
    if (value === null) return "";
    if (typeof value !== "string") throw new ShapeError(`expected a string, got ${kindOf(value)}`);
    return value;
  },
  toJson: (value) => JSON.stringify(value),
};
