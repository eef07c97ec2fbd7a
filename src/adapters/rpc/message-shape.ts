import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type MessageShape as MessageOf,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { type Plain, plainJson } from "./go-types.ts";
import { kindOf, type Shape, ShapeError, utf8 } from "./shape.ts";

/** Unknown fields are skipped, not kept: nothing is ever passed on as the message it came in. */
const READ_OPTIONS = { readUnknownFields: false };

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Shape of a protobuf message. Its JSON is not protobuf's canonical one but that of Go's struct tags, as RoadRunner
 * speaks it: keys in snake_case and without regard to case, unknown ones ignored, `null` and the empty list taken as
 * an empty object, 64-bit integers as numbers, empty fields left out. In MessagePack keys are Go's names of fields,
 * all of them; either is read in both.
 */
export function messageShape<Desc extends DescMessage>(schema: Desc): Shape<MessageOf<Desc>> {
  return {
    protobuf: {
      decode(body) {
        try {
          return fromBinary(schema, body, READ_OPTIONS);
        } catch (error) {
          throw new ShapeError(protobufErrorText(error), { cause: error });
        }
      },
      encode: (value) => toBinary(schema, value),
    },
    gob: false,
    goType: undefined,
    zero: () => create(schema),
    fromPlain(value) {
      const message = create(schema);
      readMessage(reflect(schema, message), value, "");
      return message;
    },
    toJson: (value) => writeMessage(reflect(schema, value)),
    toPlain: (value) => plainMessage(reflect(schema, value)),
  };
}

function protobufErrorText(error: unknown): string {
  // The strict TextDecoder throws with this code, all else comes from the reader of the wire format.
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return "string field contains invalid UTF-8";
  return "proto: cannot parse invalid wire-format data";
}

const fieldsByName = new WeakMap<DescMessage, ReadonlyMap<string, DescField>>();

/** Fields by name, in lower case and without underscores. */
function fieldsOf(schema: DescMessage): ReadonlyMap<string, DescField> {
  let fields = fieldsByName.get(schema);
  if (fields === undefined) {
    fields = new Map(schema.fields.map((field) => [folded(field.name), field]));
    fieldsByName.set(schema, fields);
  }
  return fields;
}

function folded(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

/** @param path dotted path of the message inside the request, empty for the request itself */
function readMessage(target: ReflectMessage, value: unknown, path: string): void {
  const fields = fieldsOf(target.desc);
  for (const [key, entry] of Object.entries(objectAt(value, path))) {
    const field = fields.get(folded(key));
    if (field === undefined || entry === null) continue;
    readField(target, field, entry, path === "" ? field.name : `${path}.${field.name}`);
  }
}

function readField(target: ReflectMessage, field: DescField, value: unknown, path: string): void {
  switch (field.fieldKind) {
    case "scalar":
      target.set(field, scalarAt(field.scalar, value, path));
      break;
    case "message": {
      const child = reflect(field.message);
      readMessage(child, value, path);
      target.set(field, child);
      break;
    }
    case "list": {
      if (!Array.isArray(value)) throw unexpected(path, "a list", value);
      const list = target.get(field);
      for (const [index, item] of value.entries()) list.add(readItem(field, item, `${path}[${index}]`));
      break;
    }
    case "map": {
      const map = target.get(field);
      for (const [key, item] of Object.entries(objectAt(value, path))) {
        map.set(key, readItem(field, item, `${path}.${key}`));
      }
      break;
    }
    case "enum":
      throw new ShapeError(`field ${path}: enumerations are not served`);
  }
}

function readItem(field: DescField & { fieldKind: "list" | "map" }, value: unknown, path: string): unknown {
  if (field.message !== undefined) {
    const child = reflect(field.message);
    readMessage(child, value, path);
    return child;
  }
  return scalarAt(field.scalar ?? ScalarType.STRING, value ?? "", path);
}

function scalarAt(type: ScalarType, value: unknown, path: string): unknown {
  // The types that fields of requests have; a further one is a further case.
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check
  switch (type) {
    case ScalarType.STRING:
      if (value instanceof Uint8Array) return textAt(value, path);
      if (typeof value !== "string") throw unexpected(path, "a string", value);
      return value;
    case ScalarType.BYTES:
      if (value instanceof Uint8Array) return value;
      if (typeof value !== "string" || !BASE64.test(value)) throw unexpected(path, "a base64 string", value);
      return Buffer.from(value, "base64");
    case ScalarType.BOOL:
      if (typeof value !== "boolean") throw unexpected(path, "a boolean", value);
      return value;
    case ScalarType.INT32:
      if (!isInteger(value, 31n)) throw unexpected(path, "an integer of 32 bits", value);
      return Number(value);
    case ScalarType.INT64:
      if (!isInteger(value, 63n)) throw unexpected(path, "an integer of 64 bits", value);
      return BigInt(value);
    default:
      throw new ShapeError(`field ${path}: its type is not served in JSON`);
  }
}

function textAt(bytes: Uint8Array, path: string): string {
  try {
    return utf8(bytes);
  } catch (error) {
    throw new ShapeError(`field ${path}: invalid UTF-8`, { cause: error });
  }
}

function isInteger(value: unknown, bits: bigint): value is number | bigint {
  if (typeof value === "number" && !Number.isInteger(value)) return false;
  if (typeof value !== "number" && typeof value !== "bigint") return false;
  const exact = BigInt(value);
  return exact >= -(1n << bits) && exact < 1n << bits;
}

function objectAt(value: unknown, path: string): object {
  if (value === null) return {};
  if (Array.isArray(value) && value.length === 0) return {};
  if (typeof value !== "object" || Array.isArray(value) || value instanceof Uint8Array) {
    throw unexpected(path, "an object", value);
  }
  return value;
}

function unexpected(path: string, expected: string, value: unknown): ShapeError {
  const place = path === "" ? "" : `field ${path}: `;
  return new ShapeError(`${place}expected ${expected}, got ${kindOf(value)}`);
}

function writeMessage(message: ReflectMessage): string {
  const members: string[] = [];
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const value = writeField(message, field);
    if (value !== undefined) members.push(`${JSON.stringify(field.name)}:${value}`);
  }
  return `{${members.join(",")}}`;
}

function writeField(message: ReflectMessage, field: DescField): string | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return plainJson(message.get(field));
    case "message":
      return writeMessage(message.get(field));
    case "list":
      return `[${[...message.get(field)].map(writeItem).join(",")}]`;
    case "map":
      return `{${[...message.get(field)].map(([key, item]) => `${JSON.stringify(String(key))}:${writeItem(item)}`).join(",")}}`;
    case "enum":
      return plainJson(message.get(field));
  }
}

function writeItem(item: unknown): string {
  return isReflected(item) ? writeMessage(item) : plainJson(item as Plain);
}

function isReflected(item: unknown): item is ReflectMessage {
  return typeof item === "object" && item !== null && "isSet" in item;
}

function plainMessage(message: ReflectMessage): Plain {
  return Object.fromEntries(message.fields.map((field) => [goName(field.name), plainField(message, field)]));
}

function plainField(message: ReflectMessage, field: DescField): Plain {
  switch (field.fieldKind) {
    case "message":
      return message.isSet(field) ? plainMessage(message.get(field)) : null;
    case "list":
      return [...message.get(field)].map(plainItem);
    case "map":
      return Object.fromEntries([...message.get(field)].map(([key, item]) => [String(key), plainItem(item)]));
    case "scalar":
    case "enum":
      return message.get(field);
  }
}

function plainItem(item: unknown): Plain {
  return isReflected(item) ? plainMessage(item) : (item as Plain);
}

/** `auto_ack` is `AutoAck` in Go. */
function goName(name: string): string {
  return name.replaceAll(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
