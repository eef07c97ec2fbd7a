import { GO_BOOL, GO_BYTES, GO_STRING, GO_STRINGS, goJson, type GoType, type Plain, plainJson } from "./go-types.ts";

/** Form of an argument, from which every codec is derived. A method knows nothing of codecs, a codec nothing of methods. */
export interface RequestShape<T> {
  /** Protobuf form; `undefined` where the value is no message. */
  readonly protobuf: Pick<ProtobufForm<T>, "decode"> | undefined;

  /** Whether its gob form is served: a single text, boolean, or nothing that is looked at. */
  readonly gob: boolean;

  /** What an empty body stands for. */
  zero(): T;

  /**
   * Reads a value of JSON or MessagePack, as leniently as Go's decoders (see README). Texts may be bytes, which are
   * read as UTF-8.
   *
   * @throws {ShapeError} the value does not fit
   */
  fromPlain(value: unknown): T;
}

/** Form of a reply, from which every codec is derived. */
export interface ReplyShape<T> {
  readonly protobuf: Pick<ProtobufForm<T>, "encode"> | undefined;

  /** Its type in gob; `undefined` where that is not served. */
  readonly goType: GoType | undefined;

  /** JSON text as Go writes it: 64-bit integers as numbers, bytes as base64. */
  toJson(value: T): string;

  /** For MessagePack and gob: keys are Go's names of fields, 64-bit integers are bigints. */
  toPlain(value: T): Plain;
}

export interface Shape<T> extends RequestShape<T>, ReplyShape<T> {
  readonly protobuf: ProtobufForm<T> | undefined;
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

/** How a value of a document is called in errors. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Uint8Array) return "a string";
  if (typeof value === "bigint") return "a number";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : "a fraction";
  if (typeof value === "object") return "an object";
  return `a ${typeof value}`;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Bytes as text.
 *
 * @throws {ShapeError} they are no UTF-8
 */
export function utf8(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    throw new ShapeError("invalid UTF-8", { cause: error });
  }
}

const EMPTY_BODY = new Uint8Array(0);

/** Argument or reply without content: a protobuf message without fields, `{}` in JSON. What is sent is not looked at. */
export const NOTHING: Shape<undefined> = {
  protobuf: { decode: () => undefined, encode: () => EMPTY_BODY },
  gob: true,
  goType: undefined,
  zero: () => undefined,
  fromPlain: () => undefined,
  toJson: () => "{}",
  toPlain: () => ({}),
};

/** `true`, `false` or `null`. */
export const BOOLEAN: Shape<boolean> = {
  protobuf: undefined,
  gob: true,
  goType: GO_BOOL,
  zero: () => false,
  fromPlain(value) {
    if (value === null) return false;
    if (typeof value !== "boolean") throw new ShapeError(`expected a boolean, got ${kindOf(value)}`);
    return value;
  },
  toJson: (value) => (value ? "true" : "false"),
  toPlain: (value) => value,
};

export const TEXT: Shape<string> = {
  protobuf: undefined,
  gob: true,
  goType: GO_STRING,
  zero: () => "",
  fromPlain(value) {
    if (value === null) return "";
    if (value instanceof Uint8Array) return utf8(value);
    if (typeof value !== "string") throw new ShapeError(`expected a string, got ${kindOf(value)}`);
    return value;
  },
  toJson: (value) => JSON.stringify(value),
  toPlain: (value) => value,
};

/** A reply that is bytes: they themselves in RAW, MessagePack and gob, base64 in JSON. */
export const BYTES: ReplyShape<Uint8Array> = {
  protobuf: undefined,
  goType: GO_BYTES,
  toJson: (value) => plainJson(value),
  toPlain: (value) => value,
};

/** A reply in the form of a type of the original. */
export function goReply<T>(goType: GoType, toPlain: (value: T) => Plain): ReplyShape<T> {
  return { protobuf: undefined, goType, toJson: (value) => goJson(goType, toPlain(value)), toPlain };
}

export const TEXTS: ReplyShape<readonly string[]> = goReply(GO_STRINGS, (value) => value);
