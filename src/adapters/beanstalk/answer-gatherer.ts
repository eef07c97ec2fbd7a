/** Longest first line of an answer; beanstalkd's own are shorter. */
const MAX_LINE_BYTES = 1024;

/** The largest body a beanstalkd can be told to accept (`-z`). */
const MAX_BODY_BYTES = 2 ** 30;

const WITH_BODY = /^(?:RESERVED|FOUND|OK) (?:\d+ )?(\d+)$/;

/**
 * Holds the pieces of a long answer back until it is complete. The client copies and searches everything it has
 * once for each piece it is given, which for a large body takes quadratic time.
 */
export class AnswerGatherer {
  readonly #pieces: Buffer[] = [];
  #missing = 0;

  /** @returns what can be given to the client now */
  take(piece: Buffer): Buffer | undefined {
    this.#missing -= piece.length;
    if (this.#missing > 0) {
      this.#pieces.push(piece);
      return undefined;
    }
    this.#missing = 0;
    if (this.#pieces.length === 0) return piece;
    this.#pieces.push(piece);
    return Buffer.concat(this.#pieces.splice(0));
  }

  /**
   * @param rest what the client has and could not use yet
   * @throws {Error} it can not become an answer
   */
  waitFor(rest: Buffer): void {
    const end = rest.subarray(0, MAX_LINE_BYTES + 2).indexOf("\r\n");
    if (end < 0) {
      if (rest.length > MAX_LINE_BYTES) throw new Error("the server sent a line without an end");
      return;
    }
    const length = Number(WITH_BODY.exec(rest.toString("latin1", 0, end))?.[1]);
    if (!(length <= MAX_BODY_BYTES)) throw new Error("the server sent an answer that is none");
    this.#missing = end + 2 + length + 2 - rest.length;
  }
}
