import { type Logger } from "../../domain/ports/logger.ts";
import { FLAGS } from "../goridge/frame.ts";
import { type BodyCodec, codecsOf } from "./rpc-codecs.ts";
import { RpcError } from "./rpc-error.ts";
import type { ReplyShape, RequestShape } from "./shape.ts";

/** One method of the RPC, as the code behind it sees it. */
export interface MethodDefinition<Request, Reply> {
  /** `service.Method`, case-sensitive. */
  readonly name: string;
  readonly request: RequestShape<Request>;
  readonly reply: ReplyShape<Reply>;

  /**
   * Called in the order in which the requests of a connection arrived. May be done at once, without a promise.
   *
   * @throws {RpcError} its message is the answer; anything else is a bug and is logged
   */
  call(request: Request): Reply | Promise<Reply>;
}

/** A result during which no further request of the same connection is begun, so that their order is kept. */
export class Alone<T> implements PromiseLike<T> {
  readonly #result: Promise<T>;

  constructor(result: Promise<T>) {
    this.#result = result;
  }

  then<A = T, B = never>(
    resolved?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(resolved, rejected);
  }
}

/** A method whose types only it knows. */
export interface RpcMethod {
  readonly name: string;
  /** Reads the body, calls the method, writes the reply. */
  invoke(body: Buffer, read: BodyCodec, write: BodyCodec): Uint8Array | Promise<Uint8Array> | Alone<Uint8Array>;
}

export function rpcMethod<Request, Reply>(definition: MethodDefinition<Request, Reply>): RpcMethod {
  const { name, request, reply } = definition;
  return {
    name,
    invoke(body, read, write) {
      const argument = read.decode(request, body, name);
      write.check(reply, name);
      const result = definition.call(argument);
      if (isPromise(result)) return result.then((value) => write.encode(reply, value));
      return write.encode(reply, result);
    },
  };
}

/** What goes back to the client: flags of the frame, and the bytes behind the method name. */
export interface RpcAnswer {
  readonly flags: number;
  readonly body: Uint8Array;
}

/** Finds methods by name and turns whatever comes out of them into an answer. */
export class RpcRouter {
  readonly #methods: ReadonlyMap<string, RpcMethod>;
  readonly #services: ReadonlySet<string>;
  readonly #logger: Logger;
  /** The method of the last request, which mostly is that of the next one, and its name as bytes. */
  #lastMethod: RpcMethod | undefined;
  #lastName = Buffer.alloc(0);

  /** @param logger of the channel `rpc` */
  constructor(methods: readonly RpcMethod[], logger: Logger) {
    this.#methods = new Map(methods.map((method) => [method.name, method]));
    this.#services = new Set(methods.map((method) => method.name.slice(0, method.name.lastIndexOf("."))));
    this.#logger = logger;
  }

  /**
   * Answers a request. Never throws, never rejects.
   *
   * @param flags byte 1 of the request frame
   * @param name `service.Method`
   */
  dispatch(flags: number, name: string, body: Buffer): RpcAnswer | Promise<RpcAnswer> | Alone<RpcAnswer> {
    return this.#call(flags, this.#methods.get(name), name, body);
  }

  /**
   * Answers a request as it lies in its frame. Never throws, never rejects.
   *
   * @param payload name of the method, then the body
   */
  dispatchFrame(flags: number, payload: Buffer, nameBytes: number): RpcAnswer | Promise<RpcAnswer> | Alone<RpcAnswer> {
    const body = payload.subarray(nameBytes);
    const last = this.#lastMethod;
    if (last !== undefined && isSame(this.#lastName, payload, nameBytes)) {
      return this.#call(flags, last, last.name, body);
    }
    const name = payload.toString("utf8", 0, nameBytes);
    const method = this.#methods.get(name);
    if (method !== undefined) {
      this.#lastMethod = method;
      this.#lastName = Buffer.from(method.name, "utf8");
    }
    return this.#call(flags, method, name, body);
  }

  #call(
    flags: number,
    method: RpcMethod | undefined,
    name: string,
    body: Buffer,
  ): RpcAnswer | Promise<RpcAnswer> | Alone<RpcAnswer> {
    const { request, reply } = codecsOf(flags);
    try {
      const result = (method ?? this.#unknown(name)).invoke(body, request, reply);
      if (result instanceof Uint8Array) return { flags: reply.bit, body: result };
      if (result instanceof Alone) return new Alone(this.#awaited(result, name, reply));
      return this.#awaited(result, name, reply);
    } catch (error) {
      return this.#failure(error, name, reply);
    }
  }

  #awaited(result: PromiseLike<Uint8Array>, name: string, reply: BodyCodec): Promise<RpcAnswer> {
    return Promise.resolve(result).then(
      (bytes) => ({ flags: reply.bit, body: bytes }),
      (error: unknown) => this.#failure(error, name, reply),
    );
  }

  #unknown(name: string): never {
    const dot = name.lastIndexOf(".");
    if (dot < 0) throw new RpcError(`rpc: service/method request ill-formed: ${name}`);
    const what = this.#services.has(name.slice(0, dot)) ? "method" : "service";
    throw new RpcError(`rpc: can't find ${what} ${name}`);
  }

  #failure(error: unknown, method: string, reply: BodyCodec): RpcAnswer {
    let text: string;
    if (error instanceof RpcError) {
      text = error.message;
    } else {
      this.#logger.error({ err: error, method }, "an RPC method failed unexpectedly");
      text = `${method}: internal error of the daemon, see its log`;
    }
    return { flags: reply.bit | FLAGS.error, body: Buffer.from(text, "utf8") };
  }
}

function isSame(name: Buffer, payload: Buffer, nameBytes: number): boolean {
  if (name.length !== nameBytes) return false;
  for (let index = 0; index < nameBytes; index++) if (name[index] !== payload[index]) return false;
  return true;
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && "then" in value;
}
