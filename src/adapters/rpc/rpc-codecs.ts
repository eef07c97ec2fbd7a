import { messageOf } from "../../domain/errors.ts";
import { FLAGS } from "../goridge/frame.ts";
import { RpcError } from "./rpc-error.ts";
import { type Shape, ShapeError } from "./shape.ts";

/** How bodies of one codec are read and written. */
export interface BodyCodec {
  readonly name: string;
  /** Its bit in the flags of a frame. */
  readonly bit: number;

  /**
   * @param method full name, for error texts
   * @throws {RpcError} the body can not be read as the argument
   */
  decode<T>(shape: Shape<T>, body: Buffer, method: string): T;

  /** @throws {RpcError} the codec can not express such a reply */
  encode<T>(shape: Shape<T>, value: T): Uint8Array;
}

const NO_MESSAGE = "goridge_read_request_body: message type is not a proto";

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
      throw new RpcError(`goridge_read_request_body: ${error.message}`, { cause: error });
    }
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
      document = JSON.parse(body.toString("utf8"));
    } catch (error) {
      throw new RpcError(`${method}: the request body is not valid JSON: ${messageOf(error)}`, { cause: error });
    }
    try {
      return shape.fromJson(document);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new RpcError(`${method}: ${error.message}`, { cause: error });
    }
  },
  encode: (shape, value) => Buffer.from(shape.toJson(value), "utf8"),
};

/** The codecs that are served. A further one is one more entry. */
const SERVED: readonly BodyCodec[] = [PROTO, JSON_CODEC];

const NAMES: Readonly<Record<number, string>> = {
  [FLAGS.raw]: "RAW",
  [FLAGS.msgpack]: "MSGPACK",
  [FLAGS.gob]: "GOB",
};

/** Order in which the bits of a request say how its body is read … */
const REQUEST_ORDER = [FLAGS.proto, FLAGS.json, FLAGS.gob, FLAGS.raw, FLAGS.msgpack];
/** … and how its answer is written. Not the same in the original, where GOB|RAW is read as gob and answered as raw. */
const REPLY_ORDER = [FLAGS.proto, FLAGS.json, FLAGS.raw, FLAGS.msgpack, FLAGS.gob];

/** A request without a codec bit: understood only if there is nothing to read. */
const NO_CODEC: BodyCodec = {
  name: "none",
  bit: 0,
  decode(shape, body) {
    if (body.length > 0) throw new RpcError("goridge_read_request_body: unknown decoder used in frame");
    return shape.zero();
  },
  encode(): never {
    throw new RpcError("goridge_read_request_body: unknown decoder used in frame");
  },
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
  if (bit === undefined) return NO_CODEC;
  return SERVED.find((codec) => codec.bit === bit) ?? notServed(NAMES[bit] ?? "UNKNOWN", bit);
}

function notServed(name: string, bit: number): BodyCodec {
  const refuse = (): never => {
    const served = SERVED.map((codec) => codec.name).join(", ");
    throw new RpcError(`codec ${name} is not served, use one of: ${served}`);
  };
  return { name, bit, decode: refuse, encode: refuse };
}
