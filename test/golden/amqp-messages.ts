import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Bytes as the recorder wrote them; the long ones all repeat one text. */
export interface GoldenBytes {
  readonly length: number;
  readonly hex?: string;
  readonly sha256?: string;
}

/** A job as it was given to `jobs.Push`. */
export interface GoldenJob {
  readonly job: string;
  readonly id: string;
  readonly payload: GoldenBytes;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly options: {
    readonly pipeline: string;
    readonly priority?: number | string;
    readonly delay?: number;
    readonly auto_ack?: boolean;
  };
}

export interface GoldenPublish {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: { readonly contentType: string; readonly deliveryMode: number; readonly timestamp: string };
  readonly body: GoldenBytes;
  /** Hex; `headerTable` begins with its length. */
  readonly raw: { readonly headerTable: string };
  readonly readBack: { readonly raw?: { readonly headerTable: string } };
}

/** A queue as it was declared before a delayed message. */
export interface GoldenDeclaration {
  readonly method: string;
  readonly queue: string;
  readonly argumentsHex: string;
}

export interface GoldenCase {
  readonly name: string;
  readonly pushed: GoldenJob | readonly GoldenJob[];
  readonly published?: GoldenPublish | readonly GoldenPublish[];
  readonly republished?: GoldenPublish | null;
  readonly declaredBefore?: readonly GoldenDeclaration[];
}

interface Codec {
  encodeTable(buffer: Buffer, table: Readonly<Record<string, unknown>>, offset: number): number;
  decodeFields(fields: Buffer): Record<string, unknown>;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const codec = createRequire(import.meta.url)(`${root}node_modules/amqplib/lib/codec.js`) as Codec;

/** What RoadRunner 2025.1.15 wrote to RabbitMQ. */
export function goldenCases(): readonly GoldenCase[] {
  const file = new URL("./amqp-messages.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly GoldenCase[] }).cases;
}

/** The table as the client gives it to the driver. */
export function decodeTable(hex: string): Record<string, unknown> {
  return codec.decodeFields(Buffer.from(hex, "hex").subarray(4));
}

/** The table as the client writes it, hex with its length in front. */
export function encodeTable(table: Readonly<Record<string, unknown>>): string {
  const buffer = Buffer.alloc(65_536);
  return buffer.subarray(0, codec.encodeTable(buffer, table, 0)).toString("hex");
}

export function bytesOf({ hex, length }: GoldenBytes): Buffer {
  return hex === undefined ? Buffer.from("0123456789abcdef".repeat(length / 16)) : Buffer.from(hex, "hex");
}

/** Fields of a table with their types, `name tag hex`, sorted: the order on the wire means nothing. */
export function typedFields(tableHex: string): readonly string[] {
  const bytes = Buffer.from(tableHex, "hex").subarray(4);
  const fields: string[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const nameEnd = offset + 1 + bytes.readUInt8(offset);
    const name = bytes.toString("utf8", offset + 1, nameEnd);
    const tag = bytes.toString("latin1", nameEnd, nameEnd + 1);
    const size = sizeOf(tag, bytes, nameEnd + 1);
    const value = bytes.subarray(nameEnd + 1, nameEnd + 1 + size);
    fields.push(`${name} ${tag} ${name === "rr_headers" ? withoutTrace(value) : value.toString("hex")}`);
    offset = nameEnd + 1 + size;
  }
  return fields.sort();
}

function sizeOf(tag: string, bytes: Buffer, offset: number): number {
  const fixed: Readonly<Record<string, number>> = { t: 1, I: 4, l: 8 };
  return fixed[tag] ?? 4 + bytes.readUInt32BE(offset);
}

/** Trace headers differ from run to run. */
function withoutTrace(value: Buffer): string {
  const json = value.subarray(4).toString("utf8");
  return json.replace(/"(?:Traceparent|Uber-Trace-Id)":\["[^"]*"\],?/g, "").replace(",}", "}");
}
