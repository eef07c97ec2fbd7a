import { InvalidJobError } from "../../domain/errors.ts";
import type { AttributeValue } from "./sqs-session.ts";

// What SQS allows in a text: tab, line feed, carriage return, and everything from the space on but U+FFFE, U+FFFF and
// single surrogates. The last can not be in well-formed UTF-8.
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/u;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Longest deduplication id, and the characters it may have. */
const DEDUPLICATION_ID = /^[!-~]{1,128}$/;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The payload as the text a message is made of, byte for byte.
 *
 * @throws {InvalidJobError} SQS can not carry it
 */
export function bodyOf(payload: Uint8Array): string {
  if (payload.byteLength === 0) throw new InvalidJobError("sqs: empty payload is not allowed by Amazon SQS");
  let text: string;
  try {
    text = decoder.decode(payload);
  } catch {
    throw new InvalidJobError(
      `sqs: payload is not valid UTF-8 (byte ${firstInvalidByte(payload)}), Amazon SQS carries text only: encode it, e.g. as base64`,
    );
  }
  const forbidden = FORBIDDEN.exec(text);
  if (forbidden !== null) {
    const at = Buffer.byteLength(text.slice(0, forbidden.index));
    throw new InvalidJobError(
      `sqs: payload has the character ${codePoint(forbidden[0])} at byte ${at}, which Amazon SQS does not allow: encode the payload, e.g. as base64`,
    );
  }
  return text;
}

/** @throws {InvalidJobError} the text can not be the value of an attribute */
export function checkText(what: string, text: string): void {
  if (text === "") throw new InvalidJobError(`sqs: ${what} is empty, which Amazon SQS does not allow`);
  const wrong = FORBIDDEN.exec(text) ?? LONE_SURROGATE.exec(text);
  if (wrong === null) return;
  throw new InvalidJobError(`sqs: ${what} has the character ${codePoint(wrong[0])}, which Amazon SQS does not allow`);
}

export function isDeduplicationId(text: string): boolean {
  return DEDUPLICATION_ID.test(text);
}

/** Bytes as the service counts them. */
export function messageBytes(bodyBytes: number, attributes: Readonly<Record<string, AttributeValue>>): number {
  let bytes = bodyBytes;
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    const size = "BinaryValue" in value ? value.BinaryValue.byteLength : Buffer.byteLength(value.StringValue);
    bytes += name.length + value.DataType.length + size;
  }
  return bytes;
}

/** @throws {InvalidJobError} the message is larger than the queue takes */
export function checkSize(bytes: number, payloadBytes: number, headerBytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new InvalidJobError(
    `sqs: message is too large: ${bytes} bytes (payload ${payloadBytes}, headers ${headerBytes}), the queue takes ${maxBytes}`,
  );
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function firstInvalidByte(bytes: Uint8Array): number {
  // The longest valid beginning, by halves: only ever needed for the text of an error.
  let low = 0;
  let high = bytes.byteLength;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isPrefixValid(bytes.subarray(0, middle))) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Valid, but for a character that is cut off at the end. */
function isPrefixValid(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
