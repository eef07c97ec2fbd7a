import { messageOf } from "../../domain/errors.ts";
import { FLAGS } from "../goridge/frame.ts";
import { GobDecoder } from "../shared/gob/gob-decoder.ts";
import { GobEncoder } from "../shared/gob/gob-encoder.ts";
import { GobError } from "../shared/gob/gob-type.ts";
import type { GoType } from "./go-types.ts";
import { MsgpackError, pack, unpack } from "./msgpack.ts";
import { RpcError } from "./rpc-error.ts";
import { type ReplyShape, type RequestShape, ShapeError, utf8 } from "./shape.ts";

/** How bodies of one codec are read and written. */
export interface BodyCodec {
  readonly name: string;
  /** Its bit in the flags of a frame. */
  readonly bit: number;

  /**
   * @param method full name, for error texts
   * @throws {RpcError} the body can not be read as the argument
   */
  decode<T>(shape: RequestShape<T>, body: Buffer, method: string): T;

  /**
   * To be asked before the method is called: what can not be answered must not be done.
   *
   * @throws {RpcError} the codec can not express such a reply
   */
  check(shape: ReplyShape<unknown>, method: string): void;

  /** For shapes that passed `check`. */
  encode<T>(shape: ReplyShape<T>, value: T): Uint8Array;
}

const PREFIX = "goridge_read_request_body";
const NO_MESSAGE = `${PREFIX}: message type is not a proto`;
const GOB_DECODER = new GobDecoder();
const GOB_ENCODERS = new WeakMap<GoType, GobEncoder>();

const PROTO: BodyCodec = {
  name: "PROTO",
  bit: FLAGS.proto,
  decode(shape, body) {
    if (shape.protobuf === undefined) throw new RpcError(NO_MESSAGE);
    if (body.length === 0) return shape.zero();
    try {
      return shape.protobuf.decode(body);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new RpcError(`${PREFIX}: ${error.message}`, { cause: error });
    }
  },
  check(shape) {
    if (shape.protobuf === undefined) throw new RpcError(NO_MESSAGE);
  },
  encode(shape, value) {
    if (shape.protobuf === undefined) throw new RpcError(NO_MESSAGE);
    return shape.protobuf.encode(value);
  },
};

const JSON_CODEC: BodyCodec = {
  name: "JSON",
  bit: FLAGS.json,
  decode(shape, body, method) {
    if (body.length === 0) return shape.zero();
    let document: unknown;
    try {
      document = JSON.parse(utf8(body));
    } catch (error) {
      throw new RpcError(`${method}: the request body is not valid JSON: ${messageOf(error)}`, { cause: error });
    }
    return fromPlain(shape, document, method);
  },
  check: () => undefined,
  encode: (shape, value) => Buffer.from(shape.toJson(value), "utf8"),
};

/** No method takes bytes, so what is sent is not looked at, as in the original. */
const RAW: BodyCodec = {
  name: "RAW",
  bit: FLAGS.raw,
  decode: (shape) => shape.zero(),
  check: () => undefined,
  encode(shape, value) {
    const plain = shape.goType?.t === "bytes" ? shape.toPlain(value) : undefined;
    return plain instanceof Uint8Array ? plain : Buffer.from(shape.toJson(value), "utf8");
  },
};

const MSGPACK: BodyCodec = {
  name: "MSGPACK",
  bit: FLAGS.msgpack,
  decode(shape, body, method) {
    if (body.length === 0) return shape.zero();
    let document: unknown;
    try {
      document = unpack(body);
    } catch (error) {
      if (!(error instanceof MsgpackError)) throw error;
      throw new RpcError(`${method}: the request body is not valid MessagePack: ${error.message}`, { cause: error });
    }
    return fromPlain(shape, document, method);
  },
  check: () => undefined,
  encode: (shape, value) => pack(shape.toPlain(value)),
};

const GOB: BodyCodec = {
  name: "GOB",
  bit: FLAGS.gob,
  decode(shape, body, method) {
    if (!shape.gob) throw new RpcError(notInGob(method));
    if (body.length === 0) return shape.zero();
    try {
      return fromPlain(shape, GOB_DECODER.decode(body).value, method);
    } catch (error) {
      if (!(error instanceof GobError)) throw error;
      throw new RpcError(`${PREFIX}: gob: ${error.message}`, { cause: error });
    }
  },
  check(shape, method) {
    if (shape.goType === undefined) throw new RpcError(notInGob(method));
  },
  encode(shape, value) {
    if (shape.goType === undefined) throw new RpcError("this reply is not served in GOB");
    return gobEncoder(shape.goType).encode(shape.toPlain(value));
  },
};

function gobEncoder(type: GoType): GobEncoder {
  let encoder = GOB_ENCODERS.get(type);
  if (encoder === undefined) {
    encoder = new GobEncoder(type);
    GOB_ENCODERS.set(type, encoder);
  }
  return encoder;
}

function notInGob(method: string): string {
  return `${method} is not served in GOB, use PROTO, JSON or MSGPACK`;
}

function fromPlain<T>(shape: RequestShape<T>, document: unknown, method: string): T {
  try {
    return shape.fromPlain(document);
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    throw new RpcError(`${method}: ${error.message}`, { cause: error });
  }
}

const CODECS: readonly BodyCodec[] = [PROTO, JSON_CODEC, RAW, MSGPACK, GOB];

/** Order in which the bits of a request say how its body is read … */
const REQUEST_ORDER = [FLAGS.proto, FLAGS.json, FLAGS.gob, FLAGS.raw, FLAGS.msgpack];
/** … and how its answer is written. Not the same in the original, where GOB|RAW is read as gob and answered as raw. */
const REPLY_ORDER = [FLAGS.proto, FLAGS.json, FLAGS.raw, FLAGS.msgpack, FLAGS.gob];

/** A request without a codec bit: understood only if there is nothing to read. */
const NO_CODEC: BodyCodec = {
  name: "none",
  bit: 0,
  decode(shape, body) {
    if (body.length > 0) throw new RpcError(`${PREFIX}: unknown decoder used in frame`);
    return shape.zero();
  },
  check: GOB.check.bind(GOB),
  encode: (shape, value) => GOB.encode(shape, value),
};

/** How one request is read and answered. */
export interface CodecChoice {
  readonly request: BodyCodec;
  readonly reply: BodyCodec;
}

const CHOICES: readonly CodecChoice[] = Array.from({ length: 256 }, (_, flags) => ({
  request: codecFor(firstOf(REQUEST_ORDER, flags)),
  reply: codecFor(firstOf(REPLY_ORDER, flags) ?? FLAGS.gob),
}));

const FALLBACK: CodecChoice = { request: codecFor(undefined), reply: codecFor(FLAGS.gob) };

/** @param flags byte 1 of the request; bits that are no codec are ignored */
export function codecsOf(flags: number): CodecChoice {
  return CHOICES[flags] ?? FALLBACK;
}

function firstOf(order: readonly number[], flags: number): number | undefined {
  return order.find((bit) => (flags & bit) !== 0);
}

function codecFor(bit: number | undefined): BodyCodec {
  return CODECS.find((codec) => codec.bit === bit) ?? NO_CODEC;
}
