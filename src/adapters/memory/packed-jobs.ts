import { type JobHeaders, NO_HEADERS } from "../../domain/job-headers.ts";
import type { Job } from "../../domain/job.ts";
import { HeadersDraft, isEmpty, NameTable, readHeaders, readJob, readPriority, RecordWriter } from "./job-record.ts";
import { SlabStore } from "./slab-store.ts";

/**
 * What a stored job costs besides its record: its delivery and its place in the queue (on the heap), its entries
 * in the tables here and in the delay heap (outside).
 */
export const JOB_OVERHEAD_BYTES = 128;

/** Bytes of the two block headers and the fixed part of a record. */
const RECORD_BYTES = 40;
const FIRST_CAPACITY = 256;
const NONE = -1;

/**
 * The jobs of one pipeline, packed outside the heap of V8. A job is known by its handle, a small integer that
 * is given to another job after `remove`. Headers have a block of their own, so that a retry with changed headers
 * does not touch the payload.
 *
 * The payload of a job that was read is a view into this storage, valid until the job is removed; of a job with
 * `autoAck`, which runs after it was removed, for ever.
 */
export class PackedJobs {
  readonly #pipeline: string;
  readonly #names = new NameTable();
  readonly #writer = new RecordWriter(this.#names);
  readonly #slabs = new SlabStore((tag, address) => {
    this.#moved(tag, address);
  });
  /** By handle: address of the record, or the next free handle. */
  #records = new Float64Array(FIRST_CAPACITY);
  /** By handle: address of the headers, or NONE. */
  #headers = new Float64Array(FIRST_CAPACITY);
  #freeHandle = NONE;
  #handles = 0;
  #size = 0;

  constructor(pipeline: string) {
    this.#pipeline = pipeline;
  }

  /** Jobs stored. */
  get size(): number {
    return this.#size;
  }

  /** What the stored jobs cost, overhead included. */
  get bytes(): number {
    return this.#slabs.liveBytes + this.#size * JOB_OVERHEAD_BYTES;
  }

  /** Size of all buffers, in use or not. */
  get heldBytes(): number {
    return this.#slabs.heldBytes + (this.#records.length + this.#headers.length) * 8;
  }

  add(job: Job): number {
    const handle = this.#takeHandle();
    const address = this.#slabs.allocate(this.#writer.measure(job), handle * 2);
    this.#writer.write(this.#slabs.bytesAt(address), this.#slabs.viewAt(address), this.#slabs.offsetOf(address));
    this.#records[handle] = address;
    this.#headers[handle] = this.#addHeaders(handle, job.headers);
    this.#size += 1;
    return handle;
  }

  read(handle: number): Job {
    const address = this.#recordOf(handle);
    const bytes = this.#slabs.bytesAt(address);
    const job = readJob(bytes, this.#slabs.offsetOf(address), this.#names, this.#pipeline, this.#headersOf(handle));
    if (job.autoAck) this.#slabs.pin(address);
    return job;
  }

  /** Priority as the job has it, 0 for the pipeline's. */
  priorityOf(handle: number): number {
    const address = this.#recordOf(handle);
    return readPriority(this.#slabs.bytesAt(address), this.#slabs.offsetOf(address));
  }

  replaceHeaders(handle: number, headers: JobHeaders): void {
    const old = this.#headers[handle] ?? NONE;
    if (old !== NONE) this.#slabs.free(old);
    this.#headers[handle] = this.#addHeaders(handle, headers);
  }

  remove(handle: number): void {
    const headers = this.#headers[handle] ?? NONE;
    if (headers !== NONE) this.#slabs.free(headers);
    this.#slabs.free(this.#recordOf(handle));
    this.#size -= 1;
    if (this.#size === 0) this.#resetTables();
    else this.#returnHandle(handle);
  }

  /** Forgets everything. Payloads that were read stay as they are. */
  clear(): void {
    this.#slabs.clear();
    this.#size = 0;
    this.#resetTables();
  }

  #recordOf(handle: number): number {
    return this.#records[handle] ?? NONE;
  }

  #headersOf(handle: number): JobHeaders {
    const address = this.#headers[handle] ?? NONE;
    if (address === NONE) return NO_HEADERS;
    return readHeaders(this.#slabs.bytesAt(address), this.#slabs.offsetOf(address), this.#slabs.lengthOf(address));
  }

  #addHeaders(handle: number, headers: JobHeaders): number {
    if (headers === NO_HEADERS || isEmpty(headers)) return NONE;
    const draft = new HeadersDraft(headers);
    const address = this.#slabs.allocate(draft.length, handle * 2 + 1);
    draft.write(this.#slabs.bytesAt(address), this.#slabs.offsetOf(address));
    return address;
  }

  #moved(tag: number, address: number): void {
    const handle = Math.floor(tag / 2);
    if (tag % 2 === 0) this.#records[handle] = address;
    else this.#headers[handle] = address;
  }

  #takeHandle(): number {
    const free = this.#freeHandle;
    if (free !== NONE) {
      this.#freeHandle = this.#recordOf(free);
      return free;
    }
    if (this.#handles === this.#records.length) {
      this.#records = doubled(this.#records);
      this.#headers = doubled(this.#headers);
    }
    return this.#handles++;
  }

  #returnHandle(handle: number): void {
    this.#records[handle] = this.#freeHandle;
    this.#freeHandle = handle;
  }

  #resetTables(): void {
    this.#freeHandle = NONE;
    this.#handles = 0;
    if (this.#records.length === FIRST_CAPACITY) return;
    this.#records = new Float64Array(FIRST_CAPACITY);
    this.#headers = new Float64Array(FIRST_CAPACITY);
  }
}

/** About what a job will cost once it is stored, without packing it. */
export function estimateBytes(job: Job): number {
  let bytes = JOB_OVERHEAD_BYTES + RECORD_BYTES + job.id.length + job.payload.length;
  if (job.headers === NO_HEADERS) return bytes;
  for (const name in job.headers) {
    bytes += name.length + 6;
    for (const value of job.headers[name] ?? []) bytes += value.length + 3;
  }
  return bytes;
}

function doubled(table: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(table.length * 2);
  copy.set(table);
  return copy;
}
