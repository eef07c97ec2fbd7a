import { readFileSync } from "node:fs";
import { Job } from "../../src/domain/job.ts";
import { repositoryFile } from "../support/repository.ts";

interface RecordedBytes {
  readonly length: number;
  readonly hex?: string;
  readonly text?: string;
  readonly generator?: string;
  readonly sha256?: string;
}

interface RecordedPush {
  readonly job: string;
  readonly id: string;
  readonly payload: RecordedBytes;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly options: {
    readonly pipeline: string;
    readonly priority?: number;
    readonly auto_ack?: boolean;
    readonly delay?: number;
  };
}

export interface RecordedMessage {
  readonly op: "PUB" | "HPUB";
  readonly subject: string;
  readonly headers: readonly string[] | null;
  readonly data: RecordedBytes;
}

interface RecordedCase {
  readonly name: string;
  readonly pushed: RecordedPush | readonly RecordedPush[];
  readonly published?: RecordedMessage | readonly RecordedMessage[];
  readonly republished?: RecordedMessage | null;
  readonly error?: string;
}

/** A job that RoadRunner was given, and the message it made of it. */
export interface GoldenPush {
  readonly title: string;
  readonly job: Job;
  readonly message: RecordedMessage;
  /** Headers that survive the way: names NATS can carry, values as Go writes them, without the recorder's trace. */
  readonly lines: readonly string[];
}

const TRACE = /^(Traceparent|Uber-Trace-Id|Tracestate|Baggage): /;
/** Its priority has 64 bits, which numbers of JavaScript have not. */
const TOO_LARGE = "priority 2^63-1";

const recorded = JSON.parse(readFileSync(repositoryFile("test/golden/nats-messages.json"), "utf8")) as {
  readonly cases: readonly RecordedCase[];
};

export const goldenPushes: readonly GoldenPush[] = recorded.cases
  .filter(({ name }) => name !== TOO_LARGE)
  .flatMap(({ name, pushed, published = [] }) => {
    const messages = Array.isArray(published) ? (published as readonly RecordedMessage[]) : [published as RecordedMessage];
    const pushes = Array.isArray(pushed) ? (pushed as readonly RecordedPush[]) : [pushed as RecordedPush];
    return messages.flatMap((message, index) => {
      const push = pushes[index];
      if (push === undefined) return [];
      const title = messages.length === 1 ? name : `${name}, ${index + 1}`;
      return [{ title, job: toJob(push), message, lines: (message.headers ?? []).filter((line) => !TRACE.test(line)) }];
    });
  });

/** The copy RoadRunner made of a job whose worker asked for another run. */
export function goldenCopy(name: string): { readonly job: Job; readonly copy: RecordedMessage } {
  const found = recorded.cases.find((candidate) => candidate.name === name);
  if (found?.republished === undefined || found.republished === null) throw new Error(`no copy was recorded for ${name}`);
  return { job: toJob(found.pushed as RecordedPush), copy: found.republished };
}

/** What RoadRunner answers to a push with a delay. */
export function goldenDelayError(): string {
  const found = recorded.cases.find(({ error }) => error !== undefined);
  if (found?.error === undefined) throw new Error("no error was recorded");
  return found.error;
}

/** The whole data; `undefined` where only its hash was recorded. */
export function dataOf({ data }: RecordedMessage): Buffer | undefined {
  return data.hex === undefined ? undefined : Buffer.from(data.hex, "hex");
}

function toJob({ job, id, payload, headers, options }: RecordedPush): Job {
  const bytes =
    payload.hex === undefined ? Buffer.from("0123456789abcdef".repeat(payload.length / 16)) : Buffer.from(payload.hex, "hex");
  const priority = options.priority === undefined || options.priority === 0 ? 10 : options.priority;
  return new Job({
    id,
    name: job,
    pipeline: options.pipeline,
    payload: bytes,
    headers,
    priority,
    autoAck: options.auto_ack ?? false,
    delaySec: options.delay ?? 0,
  });
}
