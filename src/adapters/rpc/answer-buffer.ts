import { FIXED_HEADER_BYTES, writeFrameHeader } from "../goridge/frame.ts";

const SLAB_BYTES = 64 * 1024;
/** Larger answers get a buffer of their own. */
const MAX_SHARED_BYTES = 8 * 1024;
/** Shorter names are copied faster here than by a call into C++. */
const MAX_LOOPED_BYTES = 32;
const OPTION_BYTES = 8;

/** Memory that all connections of a server write their answers into, one behind the other; never written twice. */
export class AnswerSlab {
  bytes = Buffer.allocUnsafeSlow(0);
  at = 0;
  /** Whose answers lie in front of `at`. */
  owner: AnswerBuffer | undefined;
}

/** The answers of one connection that are not written yet: what comes in one turn lies together, for one write. */
export class AnswerBuffer {
  readonly #slab: AnswerSlab;
  #chunks: Buffer[] = [];
  /** Where the answers in the slab begin, while this is its owner. */
  #start = 0;
  readonly #options = [0, 0];

  constructor(slab: AnswerSlab) {
    this.#slab = slab;
  }

  /** @param name begins with the name of the method, `nameBytes` long */
  add(flags: number, sequenceId: number, name: Uint8Array, nameBytes: number, body: Uint8Array): void {
    const payloadBytes = nameBytes + body.length;
    const total = FIXED_HEADER_BYTES + OPTION_BYTES + payloadBytes;
    const options = this.#options;
    options[0] = sequenceId;
    options[1] = nameBytes;
    if (total > MAX_SHARED_BYTES) {
      const own = Buffer.allocUnsafe(total);
      const end = writeFrameHeader(own, 0, flags, options, payloadBytes, 0);
      own.set(name.subarray(0, nameBytes), end);
      own.set(body, end + nameBytes);
      this.#seal();
      this.#chunks.push(own);
      return;
    }
    const slab = this.#room(total);
    const { bytes } = slab;
    let at = writeFrameHeader(bytes, slab.at, flags, options, payloadBytes, 0);
    if (nameBytes <= MAX_LOOPED_BYTES) {
      for (let index = 0; index < nameBytes; index++) bytes[at + index] = name[index] ?? 0;
    } else {
      bytes.set(name.subarray(0, nameBytes), at);
    }
    at += nameBytes;
    if (body.length > 0) bytes.set(body, at);
    slab.at = at + body.length;
  }

  /** What is to be written, in order; there is nothing left then. */
  take(): readonly Buffer[] {
    this.#seal();
    const chunks = this.#chunks;
    if (chunks.length > 0) this.#chunks = [];
    return chunks;
  }

  /** The slab with that much room, and this as its owner. */
  #room(bytes: number): AnswerSlab {
    const slab = this.#slab;
    if (slab.owner !== this) {
      if (slab.owner !== undefined) slab.owner.#seal();
      slab.owner = this;
      this.#start = slab.at;
    }
    if (slab.at + bytes > slab.bytes.length) {
      this.#seal();
      slab.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
      slab.at = 0;
      slab.owner = this;
      this.#start = 0;
    }
    return slab;
  }

  #seal(): void {
    const slab = this.#slab;
    if (slab.owner !== this) return;
    if (slab.at > this.#start) this.#chunks.push(slab.bytes.subarray(this.#start, slab.at));
    slab.owner = undefined;
  }
}
