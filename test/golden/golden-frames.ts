import { readFileSync } from "node:fs";

/** One vector of goridge-frames.json; `decoded` is documented in the README of the golden data. */
export interface FrameVector {
  readonly name: string;
  readonly direction: string;
  readonly hex: string;
  readonly meaning: string;
  readonly decoded: DecodedFrame;
}

export interface DecodedFrame {
  readonly flags?: string;
  readonly payloadLength?: number;
  readonly crcValid?: boolean;
  readonly byte10?: number;
  readonly byte11?: number;
  readonly options?: readonly number[];
  readonly recommended?: "accept" | "close" | "error-frame";
  /** A list, or only their number (`pipelining-`). */
  readonly frames?: readonly DecodedFrame[] | number;
}

/** All recorded frames, or those whose name begins with the prefix. */
export function goldenFrames(prefix = ""): readonly FrameVector[] {
  const file = new URL("./goridge-frames.json", import.meta.url);
  const vectors = JSON.parse(readFileSync(file, "utf8")) as readonly FrameVector[];
  return vectors.filter((vector) => vector.name.startsWith(prefix));
}

/** Whether the vector consists of sound frames only. */
export function isWellFormed(vector: FrameVector): boolean {
  if (vector.name.startsWith("malformed-")) return false;
  const { frames } = vector.decoded;
  if (typeof frames === "number") return vector.name !== "pipelining-bad-frame-after-a-slow-good-one";
  return (frames ?? [vector.decoded]).every((frame) => frame.crcValid === true);
}

/** How many frames the bytes of a sound vector hold. */
export function frameCount(vector: FrameVector): number {
  const { frames } = vector.decoded;
  return typeof frames === "number" ? frames : (frames?.length ?? 1);
}
