import { GobError, type GobObject, type GobStruct, type GobType } from "./gob-type.ts";
import { GobWriter, writeUint } from "./gob-writer.ts";

/** First id Go gives to a type that is not built in. */
const FIRST_TYPE_ID = 65;

/** What has a definition in the stream. */
type Defined = Extract<GobType, { readonly t: "slice" | "map" | "struct" }>;

type Write = (writer: GobWriter, value: unknown) => void;

/** Wire ids of the built-in kinds. */
const BUILTIN_IDS: Readonly<Partial<Record<GobType["t"], number>>> = {
  bool: 1,
  int: 2,
  uint: 3,
  float: 4,
  bytes: 5,
  string: 6,
};

/**
 * Writes values of one type as complete gob streams: definitions, then the value. Values are plain: objects for
 * structs (an absent field is left out, and so are zeros), `Map` or entries of an object for maps, arrays, `Uint8Array`,
 * texts, numbers, bigints and booleans. A field that is an empty map is sent, an absent one is not, as Go does.
 */
export class GobEncoder {
  readonly #type: GobType;
  readonly #ids = new Map<GobType, number>();
  readonly #writer = new GobWriter();
  readonly #prefix: Buffer;
  readonly #typeId: Buffer;
  readonly #write: Write;

  /** @param firstTypeId receivers take any */
  constructor(type: GobType, firstTypeId = FIRST_TYPE_ID) {
    this.#type = type;
    let nextId = firstTypeId;
    assignIds(type, this.#ids, () => nextId++);
    this.#prefix = Buffer.concat([...this.#definitions(type)]);
    this.#writer.reset();
    this.#writer.int(this.#idOf(type));
    // A value that is no struct stands behind a zero, as if it were the only field of one.
    if (type.t !== "struct") this.#writer.byte(0);
    this.#typeId = Buffer.from(this.#writer.written);
    this.#write = compile(type);
  }

  /** The definitions every stream of this encoder begins with. */
  get definitions(): Uint8Array {
    return this.#prefix;
  }

  /** With which every value message begins. */
  get typeId(): number {
    return this.#idOf(this.#type);
  }

  /** @throws {GobError} the value does not fit the type */
  encode(value: unknown): Buffer {
    const writer = this.#writer;
    writer.reset();
    writer.raw(this.#typeId);
    this.#write(writer, value);
    return this.stream(writer.written);
  }

  /** A stream of the definitions and a value message that somebody else has written. */
  stream(message: Buffer): Buffer {
    const head = this.#prefix.length;
    const stream = Buffer.allocUnsafe(head + 9 + message.length);
    this.#prefix.copy(stream);
    const start = writeUint(stream, head, message.length);
    message.copy(stream, start);
    return stream.subarray(0, start + message.length);
  }

  #idOf(type: GobType): number {
    const id = BUILTIN_IDS[type.t] ?? this.#ids.get(type);
    if (id === undefined) throw new GobError(`a value of type ${type.t} can not be written`);
    return id;
  }

  /** One message for each type that is not built in, the outer before the inner. */
  *#definitions(type: GobType, done = new Set<GobType>()): Generator<Buffer> {
    if (!isDefined(type) || done.has(type)) return;
    done.add(type);
    yield this.#definition(type);
    for (const inner of innerTypes(type)) yield* this.#definitions(inner, done);
  }

  #definition(type: Defined): Buffer {
    const writer = this.#writer;
    writer.reset();
    writer.int(-this.#idOf(type));
    switch (type.t) {
      case "slice":
        this.#common(2, type.name, type);
        writer.byte(1);
        writer.int(this.#idOf(type.elem));
        break;
      case "map":
        this.#common(4, type.name, type);
        writer.byte(1);
        writer.int(this.#idOf(type.key));
        writer.byte(1);
        writer.int(this.#idOf(type.elem));
        break;
      case "struct":
        this.#common(3, type.name, type);
        this.#fields(type);
        break;
    }
    // End of the definition, end of the description it is a field of.
    writer.byte(0);
    writer.byte(0);
    const message = Buffer.allocUnsafe(9 + writer.length);
    const start = writeUint(message, 0, writer.length);
    writer.written.copy(message, start);
    return message.subarray(0, start + writer.length);
  }

  /** @param kind place of the kind of type in Go's description of types, counted from 1 */
  #common(kind: number, name: string, type: GobType): void {
    const writer = this.#writer;
    writer.byte(kind);
    writer.byte(1);
    if (name !== "") {
      writer.byte(1);
      writer.string(name);
    }
    writer.byte(name === "" ? 2 : 1);
    writer.int(this.#idOf(type));
    writer.byte(0);
  }

  #fields({ fields }: GobStruct): void {
    const writer = this.#writer;
    if (fields.length === 0) return;
    writer.byte(1);
    writer.uint(fields.length);
    for (const field of fields) {
      writer.byte(1);
      writer.string(field.name);
      writer.byte(1);
      writer.int(this.#idOf(field.type));
      writer.byte(0);
    }
  }
}

function isDefined(type: GobType): type is Defined {
  return type.t === "slice" || type.t === "map" || type.t === "struct";
}

function innerTypes(type: Defined): readonly GobType[] {
  if (type.t === "slice") return [type.elem];
  return type.t === "map" ? [type.key, type.elem] : type.fields.map((field) => field.type);
}

/** In Go's order: a struct before what it consists of, maps and slices behind it. */
function assignIds(type: GobType, ids: Map<GobType, number>, next: () => number): void {
  if (!isDefined(type) || ids.has(type)) return;
  if (type.t === "struct") ids.set(type, next());
  for (const inner of innerTypes(type)) assignIds(inner, ids, next);
  if (type.t !== "struct") ids.set(type, next());
}

/** A function for each type, so that writing does not look at types again. */
function compile(type: GobType): Write {
  switch (type.t) {
    case "bool":
      return (writer, value) => {
        writer.byte(value === true ? 1 : 0);
      };
    case "int":
      return (writer, value) => {
        writer.int(asNumber(value));
      };
    case "uint":
      return (writer, value) => {
        writer.uint(asNumber(value));
      };
    case "float":
      return (writer, value) => {
        writer.float(Number(value));
      };
    case "string":
      return (writer, value) => {
        if (typeof value !== "string") throw new GobError("expected a text");
        writer.string(value);
      };
    case "bytes":
      return (writer, value) => {
        if (!(value instanceof Uint8Array)) throw new GobError("expected bytes");
        writer.bytes(value);
      };
    case "slice":
      return compileSlice(compile(type.elem));
    case "map":
      return compileMap(compile(type.key), compile(type.elem));
    case "struct":
      return compileStruct(type);
    case "array":
    case "complex":
    case "interface":
    case "opaque":
      throw new GobError(`a value of type ${type.t} can not be written`);
  }
}

function compileSlice(write: Write): Write {
  return (writer, value) => {
    if (!Array.isArray(value)) throw new GobError("expected a list");
    const items = value as readonly unknown[];
    writer.uint(items.length);
    for (const item of items) write(writer, item);
  };
}

function compileMap(writeKey: Write, writeValue: Write): Write {
  return (writer, value) => {
    if (typeof value !== "object" || value === null) throw new GobError("expected a map");
    const entries = value instanceof Map ? [...(value as Map<unknown, unknown>)] : Object.entries(value);
    writer.uint(entries.length);
    for (const [key, entry] of entries) {
      writeKey(writer, key);
      writeValue(writer, entry);
    }
  };
}

function compileStruct(type: GobStruct): Write {
  const fields = type.fields.map((field) => ({ name: field.name, write: compile(field.type) }));
  return (writer, value) => {
    if (typeof value !== "object" || value === null) throw new GobError(`expected the fields of ${type.name}`);
    const object = value as GobObject;
    let last = -1;
    for (let index = 0; index < fields.length; index++) {
      const field = fields[index];
      if (field === undefined) continue;
      const content = object[field.name];
      if (isZero(content)) continue;
      writer.uint(index - last);
      field.write(writer, content);
      last = index;
    }
    writer.byte(0);
  };
}

/** Zero values are not sent; an empty map is none. */
function isZero(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false || value === 0n)
    return true;
  return (Array.isArray(value) || value instanceof Uint8Array) && value.length === 0;
}

function asNumber(value: unknown): number | bigint {
  if (typeof value === "bigint" || (typeof value === "number" && Number.isInteger(value))) return value;
  throw new GobError("expected an integer");
}
