/** Size of an ordinary slab, and the factor between slab number and offset in an address. */
export const SLAB_BYTES = 1024 * 1024;

/** Blocks above this size get a buffer of their own. */
export const LARGE_BLOCK_BYTES = 64 * 1024;

/** Most sparse slabs that may exist before the oldest of them is emptied into the current one. */
export const MAX_SPARSE_SLABS = 16;

const FIRST_SLAB_BYTES = 16 * 1024;
/** What an empty store may keep for the next block. */
const IDLE_BYTES = 64 * 1024;
const MAX_SPARE_SLABS = 4;
/** A slab is sparse when less than one part in so many is in use. */
const SPARSE_SHARE = 8;
/** Length of the block, header included; then the owner's tag. */
const HEADER_BYTES = 8;
const FREED = 0xffffffff;

interface Slab {
  readonly number: number;
  readonly bytes: Buffer;
  /** Of all of `bytes`. */
  readonly view: DataView;
  /** Everything below is taken, everything above is free. */
  used: number;
  liveBytes: number;
  /** Somebody may look at its bytes even after they were freed: never to be written again. */
  pinned: boolean;
}

/**
 * Blocks of bytes outside the heap of V8. Blocks are laid one behind the other into slabs; a slab is used again or
 * let go when its last block is freed. A slab of which little is left is emptied by moving the rest, so that
 * a few old blocks do not hold much memory: at most 8 × the bytes in use, plus `MAX_SPARSE_SLABS` slabs, plus five.
 *
 * An address is a number: slab number × SLAB_BYTES + offset of the block's contents.
 */
export class SlabStore {
  readonly #moved: (tag: number, address: number) => void;
  readonly #slabs: (Slab | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  readonly #spares: Buffer[] = [];
  readonly #sparse = new Set<Slab>();
  #current: Slab | undefined;
  #blocks = 0;
  #liveBytes = 0;
  #heldBytes = 0;

  /** @param moved called with the tag and the new address of a block that was moved */
  constructor(moved: (tag: number, address: number) => void) {
    this.#moved = moved;
  }

  /** Bytes in use, block headers included. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Bytes of all buffers the store holds, in use or not. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * Takes room for `length` bytes; write them through `bytesAt` before the next call.
   *
   * @param tag whose block it is, 0 … 2³² − 2
   */
  allocate(length: number, tag: number): number {
    const total = length + HEADER_BYTES;
    const slab = total > LARGE_BLOCK_BYTES ? this.#newSlab(total) : this.#slabWithRoom(total);
    const start = slab.used;
    slab.view.setUint32(start, total, true);
    slab.view.setUint32(start + 4, tag, true);
    slab.used += total;
    slab.liveBytes += total;
    this.#liveBytes += total;
    this.#blocks += 1;
    return slab.number * SLAB_BYTES + start + HEADER_BYTES;
  }

  /** The buffer a block lies in. */
  bytesAt(address: number): Buffer {
    return this.#slabAt(address).bytes;
  }

  /** The same buffer, for numbers. */
  viewAt(address: number): DataView {
    return this.#slabAt(address).view;
  }

  /** Where in its buffer a block begins. */
  offsetOf(address: number): number {
    return address % SLAB_BYTES;
  }

  lengthOf(address: number): number {
    return this.bytesAt(address).readUInt32LE(this.offsetOf(address) - HEADER_BYTES) - HEADER_BYTES;
  }

  /** The bytes of this block's slab are never written again, not even after the block was freed. */
  pin(address: number): void {
    this.#slabAt(address).pinned = true;
  }

  free(address: number): void {
    const slab = this.#slabAt(address);
    const start = this.offsetOf(address) - HEADER_BYTES;
    const total = slab.bytes.readUInt32LE(start);
    slab.bytes.writeUInt32LE(FREED, start + 4);
    slab.liveBytes -= total;
    this.#liveBytes -= total;
    this.#blocks -= 1;
    if (slab.liveBytes === 0) this.#emptied(slab);
    else if (slab !== this.#current) this.#noteIfSparse(slab);
    if (this.#sparse.size > MAX_SPARSE_SLABS) this.#compactOldest();
    if (this.#blocks === 0) this.#shrink();
  }

  /** Forgets every block at once. Buffers somebody still looks at are not written again. */
  clear(): void {
    this.#slabs.length = 0;
    this.#freeNumbers.length = 0;
    this.#spares.length = 0;
    this.#sparse.clear();
    this.#current = undefined;
    this.#blocks = 0;
    this.#liveBytes = 0;
    this.#heldBytes = 0;
  }

  #slabAt(address: number): Slab {
    const slab = this.#slabs[Math.floor(address / SLAB_BYTES)];
    if (slab === undefined) throw new RangeError(`no block at address ${address}`);
    return slab;
  }

  #slabWithRoom(total: number): Slab {
    const current = this.#current;
    if (current !== undefined && current.used + total <= current.bytes.length) return current;
    if (current?.liveBytes === 0) this.#drop(current, !current.pinned);
    else if (current !== undefined) this.#noteIfSparse(current);
    // Small while there is little to hold, so that hundreds of quiet pipelines cost nothing.
    const wanted = Math.max(FIRST_SLAB_BYTES, total, this.#liveBytes);
    this.#current = this.#newSlab(Math.min(SLAB_BYTES, 2 ** Math.ceil(Math.log2(wanted))));
    return this.#current;
  }

  #newSlab(size: number): Slab {
    const spare = size === SLAB_BYTES ? this.#spares.pop() : undefined;
    if (spare === undefined) this.#heldBytes += size;
    const number = this.#freeNumbers.pop() ?? this.#slabs.length;
    const bytes = spare ?? Buffer.allocUnsafeSlow(size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const slab: Slab = { number, bytes, view, used: 0, liveBytes: 0, pinned: false };
    this.#slabs[number] = slab;
    return slab;
  }

  #noteIfSparse(slab: Slab): void {
    if (slab.liveBytes * SPARSE_SHARE < slab.bytes.length) this.#sparse.add(slab);
  }

  #emptied(slab: Slab): void {
    if (slab === this.#current && !slab.pinned) slab.used = 0;
    else this.#drop(slab, !slab.pinned);
  }

  #drop(slab: Slab, reusable: boolean): void {
    if (slab === this.#current) this.#current = undefined;
    this.#sparse.delete(slab);
    this.#slabs[slab.number] = undefined;
    this.#freeNumbers.push(slab.number);
    if (reusable && slab.bytes.length === SLAB_BYTES && this.#spares.length < MAX_SPARE_SLABS) {
      this.#spares.push(slab.bytes);
    } else {
      this.#heldBytes -= slab.bytes.length;
    }
  }

  /** Moves what is left of the slab that has been sparse for longest. Its buffer is not used again: views of it may exist. */
  #compactOldest(): void {
    const slab = this.#sparse.values().next().value;
    if (slab === undefined) return;
    for (let start = 0; start < slab.used;) {
      const total = slab.bytes.readUInt32LE(start);
      const tag = slab.bytes.readUInt32LE(start + 4);
      if (tag !== FREED) this.#move(slab, start, total, tag);
      start += total;
    }
    this.#drop(slab, false);
  }

  #move(from: Slab, start: number, total: number, tag: number): void {
    const address = this.allocate(total - HEADER_BYTES, tag);
    const target = this.#slabAt(address);
    from.bytes.copy(target.bytes, this.offsetOf(address), start + HEADER_BYTES, start + total);
    this.#blocks -= 1;
    this.#liveBytes -= total;
    this.#moved(tag, address);
  }

  /** Nothing is stored: keep one small slab at most. */
  #shrink(): void {
    this.#heldBytes -= this.#spares.length * SLAB_BYTES;
    this.#spares.length = 0;
    const current = this.#current;
    if (current !== undefined && current.bytes.length > IDLE_BYTES) this.#drop(current, false);
  }
}
