import { GobReader } from "./gob-reader.ts";
import {
  BUILTIN_TYPES,
  GOB_BYTES,
  GOB_INT,
  GOB_STRING,
  GobError,
  type GobField,
  type GobObject,
  type GobStruct,
  type GobType,
} from "./gob-type.ts";

/** Deepest nesting of a value, and of the type it has. */
const MAX_DEPTH = 32;

/** Most types one stream may define. */
const MAX_TYPES = 1000;

/** The first value of a stream, with the type the stream says it has. */
export interface GobMessage {
  readonly type: GobType;
  /**
   * Structs are objects without prototype (absent fields are zero), maps `Map`s, slices and arrays arrays, bytes views
   * of the stream, integers numbers where these are exact and bigints elsewhere. Interface values are skipped: `undefined`.
   */
  readonly value: unknown;
}

/** What a definition says of a type, other types by their ids. */
interface Definition {
  readonly kind: string;
  readonly name: string;
  readonly fields: GobObject;
}

/** Definitions of types in Go's own words: the type of the messages that define types. */
const COMMON: GobStruct = struct("CommonType", { Name: GOB_STRING, Id: GOB_INT });
const FIELDS: GobType = {
  t: "slice",
  name: "",
  elem: struct("FieldType", { Name: GOB_STRING, Id: GOB_INT }),
};
const OPAQUE = struct("GobEncoderType", { CommonType: COMMON });
const WIRE_TYPE: GobStruct = struct("WireType", {
  array: struct("ArrayType", { CommonType: COMMON, Elem: GOB_INT, Len: GOB_INT }),
  slice: struct("SliceType", { CommonType: COMMON, Elem: GOB_INT }),
  struct: struct("StructType", { CommonType: COMMON, Field: FIELDS }),
  map: struct("MapType", { CommonType: COMMON, Key: GOB_INT, Elem: GOB_INT }),
  gobEncoder: OPAQUE,
  binaryMarshaler: OPAQUE,
  textMarshaler: OPAQUE,
});

/**
 * Reads gob streams. Only as much is allocated as the bytes can account for, and whatever they say, the result is a
 * value or a `GobError`. Bytes behind the first value are ignored, as Go does.
 */
export class GobDecoder {
  readonly #bytesFields: ReadonlySet<string>;
  /** Streams of one sender begin with the same definitions: those of the last one are kept. */
  #prefix: Buffer = Buffer.alloc(0);
  #prefixDefinitions: ReadonlyMap<number, Definition> = new Map();
  #prefixTypes = new Map<number, GobType>();

  /** @param options `bytesFields`: fields of structs that are read as bytes where a sender wrote them as text */
  constructor(options: { readonly bytesFields?: readonly string[] } = {}) {
    this.#bytesFields = new Set(options.bytesFields);
  }

  /** @throws {GobError} the bytes are no gob stream, or one that uses what we can not read */
  decode(stream: Uint8Array): GobMessage {
    const reader = new GobReader(stream);
    const known = this.#startsAsBefore(stream);
    if (known) reader.skip(this.#prefix.length);
    let definitions = known ? this.#prefixDefinitions : new Map<number, Definition>();
    let types = known ? this.#prefixTypes : new Map<number, GobType>();
    let own = !known;
    for (;;) {
      const start = reader.at;
      const end = reader.narrow(reader.uint());
      const id = smallInt(reader);
      if (id > 0) {
        if (own) this.#remember(stream, start, definitions, types);
        return readMessage(reader, this.#typeOf(id, definitions, types));
      }
      if (!own) {
        definitions = new Map(definitions);
        types = new Map();
        own = true;
      }
      if (id === 0 || definitions.size >= MAX_TYPES) throw new GobError("a type has no usable id");
      (definitions as Map<number, Definition>).set(-id, readDefinition(reader));
      if (reader.left > 0) throw new GobError("the length of a message is wrong");
      reader.widen(end);
    }
  }

  /** Resolves a definition; the types of a stream are resolved once. */
  #typeOf(id: number, definitions: ReadonlyMap<number, Definition>, types: Map<number, GobType>, depth = 0): GobType {
    const known = BUILTIN_TYPES.get(id) ?? types.get(id);
    if (known !== undefined) return known;
    const definition = definitions.get(id);
    if (definition === undefined) throw new GobError(`type ${id} is not defined`);
    if (depth > MAX_DEPTH) throw new GobError("a type is nested too deeply");
    const type = this.#resolve(definition, (inner) => this.#typeOf(inner, definitions, types, depth + 1));
    types.set(id, type);
    return type;
  }

  #resolve({ kind, name, fields }: Definition, byId: (id: number) => GobType): GobType {
    const inner = (field: string): GobType => byId(numberOf(fields[field]));
    switch (kind) {
      case "slice":
        return { t: "slice", name, elem: inner("Elem") };
      case "array":
        return { t: "array", name, elem: inner("Elem"), length: numberOf(fields["Len"]) };
      case "map":
        return { t: "map", name, key: inner("Key"), elem: inner("Elem") };
      case "struct":
        return {
          t: "struct",
          name,
          fields: ((fields["Field"] ?? []) as GobObject[]).map((field) => this.#field(field, byId)),
        };
      default:
        return { t: "opaque", name };
    }
  }

  #field(field: GobObject, byId: (id: number) => GobType): GobField {
    const name = (field["Name"] ?? "") as string;
    const type = byId(numberOf(field["Id"]));
    return { name, type: type.t === "string" && this.#bytesFields.has(name) ? GOB_BYTES : type };
  }

  #startsAsBefore(stream: Uint8Array): boolean {
    const { length } = this.#prefix;
    return length > 0 && stream.byteLength > length && this.#prefix.compare(stream, 0, length) === 0;
  }

  #remember(
    stream: Uint8Array,
    length: number,
    definitions: ReadonlyMap<number, Definition>,
    types: Map<number, GobType>,
  ): void {
    this.#prefix = Buffer.from(stream.subarray(0, length));
    this.#prefixDefinitions = definitions;
    this.#prefixTypes = types;
  }
}

function readMessage(reader: GobReader, type: GobType): GobMessage {
  if (type.t !== "struct" && reader.byte() !== 0) throw new GobError("a value is not where it should be");
  const value = read(reader, type, 0);
  if (reader.left > 0) throw new GobError("the length of a message is wrong");
  return { type, value };
}

function readDefinition(reader: GobReader): Definition {
  const [entry, ...more] = Object.entries(read(reader, WIRE_TYPE, 0) as GobObject);
  if (entry === undefined || more.length > 0) throw new GobError("a type is not defined in a way we know");
  const [kind, fields] = entry as [string, GobObject];
  const common = (fields["CommonType"] ?? {}) as GobObject;
  return { kind, name: (common["Name"] ?? "") as string, fields };
}

function read(reader: GobReader, type: GobType, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new GobError("a value is nested too deeply");
  switch (type.t) {
    case "bool":
      return reader.uint() !== 0;
    case "int":
      return reader.int64();
    case "uint":
      return reader.uint64();
    case "float":
      return reader.float();
    case "bytes":
    case "opaque":
      return reader.bytes();
    case "string":
      return reader.string();
    case "complex":
      return [reader.float(), reader.float()];
    case "interface":
      skipInterface(reader);
      return undefined;
    case "slice":
    case "array":
      return readList(reader, type.elem, depth);
    case "map":
      return readMap(reader, type.key, type.elem, depth);
    case "struct":
      return readStruct(reader, type, depth);
  }
}

/** Every element has at least one byte, so a count above the bytes that are left is a lie. */
function readList(reader: GobReader, elem: GobType, depth: number): readonly unknown[] {
  const count = reader.length();
  const items: unknown[] = [];
  for (let index = 0; index < count; index++) items.push(read(reader, elem, depth + 1));
  return items;
}

function readMap(reader: GobReader, key: GobType, elem: GobType, depth: number): ReadonlyMap<unknown, unknown> {
  const count = reader.length();
  const map = new Map<unknown, unknown>();
  for (let index = 0; index < count; index++) map.set(read(reader, key, depth + 1), read(reader, elem, depth + 1));
  return map;
}

function readStruct(reader: GobReader, type: GobStruct, depth: number): GobObject {
  const object = Object.create(null) as Record<string, unknown>;
  let index = -1;
  for (;;) {
    const delta = reader.uint();
    if (delta === 0) return object;
    index += delta;
    const field = type.fields[index];
    if (field === undefined) throw new GobError("a value has a field its type does not have");
    object[field.name] = read(reader, field.type, depth + 1);
  }
}

/** Name of the type, its id, and a value with its length; an empty name is a nil. */
function skipInterface(reader: GobReader): void {
  if (reader.bytes().length === 0) return;
  reader.int64();
  reader.skip(reader.length());
}

function struct(name: string, fields: Readonly<Record<string, GobType>>): GobStruct {
  return { t: "struct", name, fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })) };
}

function smallInt(reader: GobReader): number {
  const value = reader.int64();
  if (typeof value === "bigint") throw new GobError("a type has no usable id");
  return value;
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
