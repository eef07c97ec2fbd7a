import { DriverUnavailableError, InvalidPipelineError, JobsError, messageOf } from "../../domain/errors.ts";

/** What the broker said when it refused something. */
export interface BrokerReply {
  /** Reply code of AMQP, e.g. 406. */
  readonly code: number;
  /** Its text, e.g. `PRECONDITION_FAILED - inequivalent arg 'durable' …`. */
  readonly text: string;
}

/** Replies after which the same call will be refused again until somebody changes something. */
const REFUSALS: ReadonlySet<number> = new Set([402, 403, 404, 405, 406, 501, 502, 503, 504, 505, 530, 540]);

/** The broker's own words in an error of the client; `undefined` if it has none. */
export function brokerReplyIn(error: unknown): BrokerReply | undefined {
  const match = /(\d{3}) \([\w-]+\) with message "(.*)"/s.exec(messageOf(error));
  const code = Number(match?.[1]);
  const text = match?.[2];
  return text === undefined ? undefined : { code, text };
}

/** True if trying again does not help: wrong password, other arguments, no permission. */
export function isRefusal(error: unknown): boolean {
  if (JobsError.is(error) && !error.retryable) return true;
  const reply = brokerReplyIn(error instanceof Error && error.cause !== undefined ? error.cause : error);
  return reply !== undefined && REFUSALS.has(reply.code);
}

/**
 * An error of the client, or of the network under it, in the words of the domain. Errors of ours pass.
 *
 * @param operation what was tried, for a message such as `exchange "jobs": PRECONDITION_FAILED …`
 */
export function translate(error: unknown, operation: string): JobsError {
  if (JobsError.is(error)) return error;
  const reply = brokerReplyIn(error);
  if (reply === undefined || !REFUSALS.has(reply.code)) return new DriverUnavailableError("amqp", { cause: error });
  return new InvalidPipelineError(`amqp: ${operation}: ${reply.text}`, { cause: error });
}
