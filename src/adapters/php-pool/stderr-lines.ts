import { StringDecoder } from "node:string_decoder";

/** A longer line is reported in pieces of that many UTF-16 units. */
const MAX_LINE_CHARS = 64 * 1024;
const TAIL_LINES = 20;
/** A line is kept for crash reports up to this length. */
const MAX_TAIL_CHARS = 2048;

/**
 * Cuts what a worker writes to stderr into lines, whatever chunks it comes in; nothing is lost, multi-byte characters
 * stay whole. Remembers the last 20 lines for the report of a crash.
 */
export class StderrLines {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #partial = "";
  readonly #tail: string[] = [];

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  /** The last lines, oldest first; long ones are cut. */
  get tail(): readonly string[] {
    return this.#tail;
  }

  push(chunk: Buffer): void {
    this.#split(this.#partial + this.#decoder.write(chunk));
  }

  /** Reports a last line without line feed. To be called when the stream has ended. */
  end(): void {
    this.#split(this.#partial + this.#decoder.end());
    if (this.#partial !== "") this.#emit(this.#partial);
    this.#partial = "";
  }

  #split(text: string): void {
    let start = 0;
    for (let feed = text.indexOf("\n", start); feed !== -1; feed = text.indexOf("\n", start)) {
      const end = feed > start && text.charCodeAt(feed - 1) === 0x0d ? feed - 1 : feed;
      this.#emitPieces(text, start, end);
      start = feed + 1;
    }
    while (text.length - start >= MAX_LINE_CHARS) {
      const end = pieceEnd(text, start);
      this.#emit(text.slice(start, end));
      start = end;
    }
    this.#partial = text.slice(start);
  }

  #emitPieces(text: string, start: number, end: number): void {
    let from = start;
    while (end - from > MAX_LINE_CHARS) {
      const to = pieceEnd(text, from);
      this.#emit(text.slice(from, to));
      from = to;
    }
    this.#emit(text.slice(from, end));
  }

  #emit(line: string): void {
    if (line === "") return;
    this.#tail.push(line.length > MAX_TAIL_CHARS ? `${line.slice(0, MAX_TAIL_CHARS)}…` : line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    this.#onLine(line);
  }
}

/** Does not cut a surrogate pair. */
function pieceEnd(text: string, start: number): number {
  const end = start + MAX_LINE_CHARS;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
}
