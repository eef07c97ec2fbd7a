import type { FrameError } from "../goridge/frame-reader.ts";
import type { Frame } from "../goridge/frame.ts";

/** How much of a frame had left when its write failed. */
export type WrittenPart = "nothing" | "part";

/** What a relay tells. Nothing is called after `ended`. */
export interface RelayListener {
  /** One complete frame. Its payload is a view of the received chunk. */
  frame(frame: Frame): void;
  /** All frames of a chunk were handed over. */
  received(): void;
  /** Bytes that are no complete frame yet stayed behind after a chunk; called after `received`. */
  incomplete(): void;
  /** The bytes received are no frame. Nothing more is read as one; called once. */
  broken(error: FrameError): void;
  /** A frame could not be written: nobody reads at the other end. Called once. */
  writeFailed(written: WrittenPart): void;
  /** The other end has closed its side, or everything it wrote has been read after its death. */
  ended(): void;
}

/**
 * A channel of frames to one worker: its standard streams today, a socket it connected to tomorrow. A frame always
 * leaves in one write, since PHP can not read a header that arrives in pieces.
 */
export interface Relay {
  /** Replaces the listener; what arrived before is not repeated. */
  listen(listener: RelayListener): void;

  /**
   * Writes a frame. Never blocks; what the other end does not take yet is kept.
   *
   * @param head the frame, or its beginning with at least the header
   * @param rest the rest of the frame, not copied: it must not be changed afterwards
   */
  send(head: Uint8Array, rest?: Uint8Array): void;

  /** Bytes received that are not part of a frame handed out. */
  readonly bufferedBytes: number;

  /** The beginning of those bytes, or of the ones that were no frame, for reports; at most 4 KiB. */
  strayText(): string;

  /** Stops reading and writing at once. */
  close(): void;
}
