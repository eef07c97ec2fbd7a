import { encodeFrame, FLAGS, type Frame, STREAM_BITS } from "../goridge/frame.ts";

/** Asks a worker to end its loop. */
export const STOP_FRAME = encodeFrame(FLAGS.control | FLAGS.json, [], [Buffer.from('{"stop":true}')]);
/** Asks a worker to end the stream it answers with. */
export const STREAM_STOP_FRAME = encodeFrame(0, [], [], STREAM_BITS.stop);
const STOP_MARKER = Buffer.from('{"stop":true}');

/** An error text is cut there. */
export const MAX_ERROR_BYTES = 64 * 1024;
/** Bytes of what came in place of an answer that are reported. */
export const MAX_STRAY_BYTES = 200;

export const STDOUT_CRC_TEXT =
  "validation failed on the message sent to STDOUT, see: https://docs.roadrunner.dev/error-codes/stdout-crc, invalid message: ";

/** Why a frame that stands where an answer is expected is none; `undefined` if it is one. */
export function misfitOf({ flags, options, payload }: Frame): string | undefined {
  if ((flags & FLAGS.control) !== 0) return "control frame in place of an answer";
  if (options.length !== 1) return "options length should be equal 1 (body offset)";
  const headerBytes = options[0] ?? 0;
  if (headerBytes <= payload.length) return undefined;
  return `bad payload: header of ${headerBytes} bytes in a payload of ${payload.length}`;
}

/** Whether an answer says that the job was not done and its worker wants to be replaced. */
export function isStopMarker(payload: Buffer, headerBytes: number): boolean {
  return headerBytes === STOP_MARKER.length && payload.length === headerBytes && STOP_MARKER.equals(payload);
}

/** Whether an answer is followed by more frames that belong to it. */
export function isStreamed(frame: Frame): boolean {
  return (frame.stream & STREAM_BITS.stream) !== 0;
}

/** Whether the frame of a stream asks if the stream is still wanted. */
export function isPing(frame: Frame): boolean {
  return (frame.stream & STREAM_BITS.ping) !== 0;
}
