import { type JobHeaders, NO_HEADERS, toHeaders } from "../../domain/job-headers.ts";
import { Job } from "../../domain/job.ts";
import { GobDecoder } from "../shared/gob/gob-decoder.ts";
import { GobEncoder } from "../shared/gob/gob-encoder.ts";
import {
  GOB_BOOL,
  GOB_BYTES,
  GOB_INT,
  GOB_STRING,
  GobError,
  type GobObject,
  type GobStruct,
  type GobType,
} from "../shared/gob/gob-type.ts";
import { GobWriter } from "../shared/gob/gob-writer.ts";
import { DEDUCED_NAME } from "../shared/rr-headers.ts";

/** The body of a job: a gob stream of RoadRunner's struct `Item`. */
export interface BeanstalkItem {
  readonly job: string;
  readonly ident: string;
  readonly payload: Uint8Array;
  /** `undefined`: the field is not sent, as RoadRunner up to 2025.1 does. */
  readonly headers: JobHeaders | undefined;
  /** `undefined`: the field is not sent. */
  readonly options: BeanstalkItemOptions | undefined;
}

export interface BeanstalkItemOptions {
  readonly priority: number | bigint;
  readonly pipeline: string;
  /** Seconds. */
  readonly delay: number | bigint;
  readonly autoAck: boolean;
  /** Empty on a first push, the tube after a requeue. */
  readonly queue: string;
}

const HEADERS: GobType = {
  t: "map",
  name: "map[string][]string",
  key: GOB_STRING,
  elem: { t: "slice", name: "", elem: GOB_STRING },
};

const OPTIONS: GobStruct = {
  t: "struct",
  name: "Options",
  fields: [
    { name: "Priority", type: GOB_INT },
    { name: "Pipeline", type: GOB_STRING },
    { name: "Delay", type: GOB_INT },
    { name: "AutoAck", type: GOB_BOOL },
    { name: "Queue", type: GOB_STRING },
  ],
};

const ITEM: GobStruct = {
  t: "struct",
  name: "Item",
  fields: [
    { name: "Job", type: GOB_STRING },
    { name: "Ident", type: GOB_STRING },
    { name: "Payload", type: GOB_BYTES },
    { name: "Hdrs", type: HEADERS },
    { name: "Options", type: OPTIONS },
  ],
};

/** Names under which headers were written by one generation or another. */
const HEADER_FIELDS = ["Hdrs", "Headers"] as const;

const ITEM_FIELDS: ReadonlyMap<string, GobType> = new Map([
  ...ITEM.fields.map(({ name, type }) => [name, type] as const),
  ["Headers", HEADERS],
]);
const OPTION_FIELDS: ReadonlyMap<string, GobType> = new Map(OPTIONS.fields.map(({ name, type }) => [name, type]));

const NO_BYTES = new Uint8Array(0);

/** Writes what RoadRunner 6 writes, and reads what all of its generations wrote. */
export class BeanstalkCodec {
  readonly #encoder = new GobEncoder(ITEM);
  readonly #writer = new GobWriter();
  /** Up to RoadRunner 2023.2 payloads were texts, whose bytes may be no UTF-8. */
  readonly #decoder = new GobDecoder({ bytesFields: ["Payload"] });
  /** The last type that was found to be an item: streams of one sender share it. */
  #itemType: GobType | undefined;

  /**
   * Written by hand: the general encoder looks at every field of every job anew.
   *
   * @throws {GobError} a number has more than 64 bits
   */
  encode(item: BeanstalkItem): Buffer {
    const writer = this.#writer;
    writer.reset();
    writer.int(this.#encoder.typeId);
    writeItem(writer, item);
    writer.byte(0);
    return this.#encoder.stream(writer.written);
  }

  /** @returns undefined if the body is no item: then it is somebody else's, and a payload as a whole */
  decode(body: Uint8Array): BeanstalkItem | undefined {
    try {
      const { type, value } = this.#decoder.decode(body);
      if (type !== this.#itemType) {
        if (!isItem(type)) return undefined;
        this.#itemType = type;
      }
      return itemOf(value as GobObject);
    } catch (error) {
      if (error instanceof GobError) return undefined;
      throw error;
    }
  }
}

/** @param queue the tube where the job is a copy of one that was taken from it, else empty */
export function itemFromJob(job: Job, queue = "", priority: number | bigint = job.priority): BeanstalkItem {
  return {
    job: job.name,
    ident: job.id,
    payload: job.payload,
    headers: job.headers,
    options: { priority, pipeline: job.pipeline, delay: job.delaySec, autoAck: job.autoAck, queue },
  };
}

/** Where a body came from. */
export interface BodySource {
  /** Name of the pipeline that took it. */
  readonly pipeline: string;
  readonly tube: string;
  /** The server's id of the job. */
  readonly id: string;
}

export function jobFromItem(item: BeanstalkItem, source: BodySource): Job {
  const { options } = item;
  return new Job({
    id: item.ident,
    name: item.job,
    pipeline: options === undefined || options.pipeline === "" ? source.pipeline : options.pipeline,
    payload: item.payload,
    ...(item.headers === undefined ? {} : { headers: item.headers }),
    priority: Number(options?.priority ?? 0),
    delaySec: Number(options?.delay ?? 0),
    autoAck: options?.autoAck ?? false,
  });
}

/** A body that is no item: all of it is payload. The id is the same each time the job is delivered. */
export function jobFromForeignBody(body: Uint8Array, source: BodySource): Job {
  return new Job({
    id: `beanstalk-${source.tube}-${source.id}`,
    name: DEDUCED_NAME,
    pipeline: source.pipeline,
    payload: body,
  });
}

function itemOf(fields: GobObject): BeanstalkItem {
  const options = fields["Options"] as GobObject | undefined;
  return {
    job: (fields["Job"] ?? "") as string,
    ident: (fields["Ident"] ?? "") as string,
    payload: (fields["Payload"] ?? NO_BYTES) as Uint8Array,
    headers: headersOf(fields),
    options: options === undefined ? undefined : optionsOf(options),
  };
}

function headersOf(fields: GobObject): JobHeaders | undefined {
  for (const name of HEADER_FIELDS) {
    const headers = fields[name] as ReadonlyMap<string, readonly string[]> | undefined;
    if (headers !== undefined) return toHeaders(headers);
  }
  return undefined;
}

function optionsOf(options: GobObject): BeanstalkItemOptions {
  return {
    priority: (options["Priority"] ?? 0) as number | bigint,
    pipeline: (options["Pipeline"] ?? "") as string,
    delay: (options["Delay"] ?? 0) as number | bigint,
    autoAck: (options["AutoAck"] ?? false) as boolean,
    queue: (options["Queue"] ?? "") as string,
  };
}

/** Go reads a struct if it shares a field with its own, and every shared field has its own's type. */
function isItem(type: GobType): boolean {
  return type.t === "struct" && matches(type, ITEM_FIELDS);
}

function matches(type: GobStruct, known: ReadonlyMap<string, GobType>): boolean {
  let shared = 0;
  for (const field of type.fields) {
    const own = known.get(field.name);
    if (own === undefined) continue;
    shared += 1;
    if (!sameType(field.type, own)) return false;
  }
  return shared > 0;
}

function sameType(type: GobType, own: GobType): boolean {
  if (type.t === "struct") return own.t === "struct" && matches(type, OPTION_FIELDS);
  if (type.t === "map") return own.t === "map" && sameType(type.key, own.key) && sameType(type.elem, own.elem);
  if (type.t === "slice") return own.t === "slice" && sameType(type.elem, own.elem);
  return type.t === own.t;
}

/** Each field as its distance from the last one that was written, and its value; zeros are left out. */
function writeItem(writer: GobWriter, { job, ident, payload, headers, options }: BeanstalkItem): void {
  let last = -1;
  const begin = (field: number): void => {
    writer.byte(field - last);
    last = field;
  };
  if (job !== "") {
    begin(0);
    writer.string(job);
  }
  if (ident !== "") {
    begin(1);
    writer.string(ident);
  }
  if (payload.length > 0) {
    begin(2);
    writer.bytes(payload);
  }
  if (headers !== undefined) {
    begin(3);
    writeHeaders(writer, headers);
  }
  if (options !== undefined) {
    begin(4);
    writeOptions(writer, options);
    writer.byte(0);
  }
}

/** Go's order is random; sorted, equal jobs are equal bytes. */
function writeHeaders(writer: GobWriter, headers: JobHeaders): void {
  const names = headers === NO_HEADERS ? [] : Object.keys(headers);
  if (names.length > 1) names.sort();
  writer.uint(names.length);
  for (const name of names) {
    const values = headers[name] ?? [];
    writer.string(name);
    writer.uint(values.length);
    for (const value of values) writer.string(value);
  }
}

function writeOptions(writer: GobWriter, { priority, pipeline, delay, autoAck, queue }: BeanstalkItemOptions): void {
  let last = -1;
  const begin = (field: number): void => {
    writer.byte(field - last);
    last = field;
  };
  // Zeros of either type.
  if (Number(priority) !== 0) {
    begin(0);
    writer.int(priority);
  }
  if (pipeline !== "") {
    begin(1);
    writer.string(pipeline);
  }
  if (Number(delay) !== 0) {
    begin(2);
    writer.int(delay);
  }
  if (autoAck) {
    begin(3);
    writer.byte(1);
  }
  if (queue !== "") {
    begin(4);
    writer.string(queue);
  }
}
