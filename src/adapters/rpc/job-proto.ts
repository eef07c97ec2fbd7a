import { type JobHeaders, NO_HEADERS } from "../../domain/job-headers.ts";
import { Job, type KafkaCoordinates } from "../../domain/job.ts";
import type { HeaderValue, Job as JobMessage, Options } from "./gen/jobs/v1/jobs_pb.ts";
import { RpcError } from "./rpc-error.ts";

const MAX_INTEGER = BigInt(Number.MAX_SAFE_INTEGER);

/**
 * The job of a request, as the domain sees it. Payload and header lists are taken over, not copied.
 *
 * @throws {RangeFieldError} an integer is outside ±(2^53−1)
 */
export function toJob(message: JobMessage): Job {
  const options = message.options;
  return new Job({
    id: message.id,
    name: message.job,
    pipeline: options === undefined ? "" : options.pipeline,
    payload: message.payload,
    headers: toHeaderLists(message.headers),
    priority: options === undefined ? 0 : toNumber(options.priority, "priority"),
    delaySec: options === undefined ? 0 : toNumber(options.delay, "delay"),
    autoAck: options?.autoAck ?? false,
    kafka: options === undefined ? undefined : toKafka(options),
  });
}

/** An integer of a job that a JavaScript number can not hold. */
export class RangeFieldError extends RpcError {
  constructor(field: string) {
    super(`${field} out of range`);
    this.name = "RangeFieldError";
  }
}

function toHeaderLists(entries: Readonly<Record<string, HeaderValue>>): JobHeaders {
  const names = Object.keys(entries);
  if (names.length === 0) return NO_HEADERS;
  const headers = Object.create(null) as Record<string, readonly string[]>;
  for (const name of names) headers[name] = entries[name]?.value ?? [];
  return headers;
}

function toKafka(options: Options): KafkaCoordinates | undefined {
  const { topic, metadata, partition } = options;
  const offset = toNumber(options.offset, "offset");
  if (topic === "" && metadata === "" && partition === 0 && offset === 0) return undefined;
  return { topic, metadata, offset, partition };
}

function toNumber(value: bigint, field: string): number {
  if (value > MAX_INTEGER || value < -MAX_INTEGER) throw new RangeFieldError(field);
  return Number(value);
}
