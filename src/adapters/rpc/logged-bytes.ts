/** At most so much of what can not be understood is logged. */
export const LOGGED_BYTES = 64;

const FRAME_VERSION = 1;
/** Of a request: twelve bytes and two options. */
const HEADER_BYTES = 20;

/**
 * Received bytes for the log: as ASCII text, anything else escaped. Of what looks like a frame the header alone, since
 * behind it there may be a payload.
 */
export function loggedBytes(bytes: Buffer): string {
  const isFrame = (bytes[0] ?? 0) >> 4 === FRAME_VERSION;
  return bytes
    .subarray(0, isFrame ? HEADER_BYTES : LOGGED_BYTES)
    .toString("latin1")
    .replace(/[^ -~]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
