import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** A span as a collector gets it. Ids are hexadecimal. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** OTLP: 1 internal, 2 server. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string>>;
  /** Names of events; `exception` among them. */
  readonly events: readonly string[];
  /** Trace ids of linked spans. */
  readonly links: readonly string[];
  /** 2 is an error. */
  readonly status: number;
}

/** An export request, with what its HTTP request looked like. */
interface Received {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly spans: readonly ReceivedSpan[];
}

/** A collector that speaks OTLP over HTTP in protobuf: it decodes what it gets, field by field. */
export class OtlpReceiver {
  readonly requests: Received[] = [];
  readonly #server: Server;
  /** Answers to the next requests; 200 when it is empty. */
  readonly failures: number[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<OtlpReceiver> {
    const server = createServer();
    const receiver = new OtlpReceiver(server);
    server.on("request", (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes;
        const { url: path = "", headers } = request;
        const failure = receiver.failures.shift();
        if (failure === undefined) receiver.requests.push({ path, headers, spans: spansOf(body) });
        response.writeHead(failure ?? 200, { "content-type": "application/x-protobuf" }).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get spans(): readonly ReceivedSpan[] {
    return this.requests.flatMap(({ spans }) => spans);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Fields of a message by number; bytes, or numbers as they came. */
function fieldsOf(bytes: Uint8Array): ReadonlyMap<number, readonly (Uint8Array | number)[]> {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, (Uint8Array | number)[]>();
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value = type === WireType.LengthDelimited ? reader.bytes() : type === WireType.Varint ? reader.uint32() : 0;
    if (type !== WireType.LengthDelimited && type !== WireType.Varint) reader.skip(type);
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

function messages(bytes: Uint8Array, field: number): readonly Uint8Array[] {
  return (fieldsOf(bytes).get(field) ?? []).filter((value) => typeof value !== "number");
}

/** ExportTraceServiceRequest → ResourceSpans (1) → ScopeSpans (2) → Span (2). */
function spansOf(body: Uint8Array): readonly ReceivedSpan[] {
  return messages(body, 1)
    .flatMap((resource) => messages(resource, 2))
    .flatMap((scope) => messages(scope, 2))
    .map(spanOf);
}

function spanOf(bytes: Uint8Array): ReceivedSpan {
  const [name] = messages(bytes, 5);
  const [traceId, spanId, parent] = [1, 2, 4].map((field) => hex(messages(bytes, field)[0]));
  const [status] = messages(bytes, 15);
  const kind = fieldsOf(bytes).get(6)?.[0];
  const code = status === undefined ? 0 : fieldsOf(status).get(3)?.[0];
  return {
    name: text(name),
    traceId: traceId ?? "",
    spanId: spanId ?? "",
    parentSpanId: parent ?? "",
    kind: typeof kind === "number" ? kind : 0,
    attributes: Object.fromEntries(messages(bytes, 9).map(attribute)),
    events: messages(bytes, 11).map((event) => text(messages(event, 2)[0])),
    links: messages(bytes, 13).map((link) => hex(messages(link, 1)[0])),
    status: typeof code === "number" ? code : 0,
  };
}

/** KeyValue: key (1), AnyValue (2) with a text (1) or an integer (3). */
function attribute(bytes: Uint8Array): readonly [string, string] {
  const [value = new Uint8Array(0)] = messages(bytes, 2);
  const fields = fieldsOf(value);
  const [string] = fields.get(1) ?? [];
  const [integer] = fields.get(3) ?? [];
  return [text(messages(bytes, 1)[0]), typeof string === "object" ? text(string) : String(integer ?? "")];
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("utf8");
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("hex");
}
