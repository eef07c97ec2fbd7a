import { JobsError, type JobsErrorOptions } from "../../domain/errors.ts";

/** The server is there and does not do what it was asked for. The text says what to do, the cause what it answered. */
export class NatsRefusedError extends JobsError {
  readonly code = "JOBS_DRIVER_UNAVAILABLE";
  readonly retryable = true;

  constructor(message: string, options: JobsErrorOptions = {}) {
    super(`nats: ${message}`, options);
  }
}

/** Codes of the JetStream API that are told apart. */
export const API_CODES = {
  consumerNotFound: 10014,
  messageNotFound: 10037,
  notEnabledForAccount: 10039,
  sequenceNotFound: 10043,
  streamStoreEof: 10057,
  streamNameInUse: 10058,
  streamNotFound: 10059,
  subjectsOverlap: 10065,
  notEnabled: 10076,
  maximumMessages: 10077,
} as const;

/** An answer of the JetStream API that is an error; `apiCode` is the server's number of it, 0 where it has none. */
export class JetStreamError extends Error {
  readonly apiCode: number;

  constructor(description: string, apiCode: number, options?: ErrorOptions) {
    super(apiCode === 0 ? description : `${description} (${apiCode})`, options);
    this.name = "JetStreamError";
    this.apiCode = apiCode;
  }
}

/** Nobody answers at all: there is no such stream, or no JetStream. */
export class NoRespondersError extends Error {
  constructor(subject: string, options?: ErrorOptions) {
    super(`nobody listens on subject ${subject}`, options);
    this.name = "NoRespondersError";
  }
}

/** The account may not use a subject. */
export class PermissionError extends Error {
  constructor(subject: string, options?: ErrorOptions) {
    super(`the account has no permission for subject ${subject}`, options);
    this.name = "PermissionError";
  }
}

/** No answer in time: what was asked for may have been done. */
export class NoAnswerError extends Error {
  constructor(subject: string, options?: ErrorOptions) {
    super(`no answer in time on subject ${subject}`, options);
    this.name = "NoAnswerError";
  }
}

/** The connection ended before the answer came: what was asked for may have been done. */
export class ConnectionLostError extends Error {
  constructor(options?: ErrorOptions) {
    super("the connection to the server was lost", options);
    this.name = "ConnectionLostError";
  }
}

/** Why a request has no good answer. */
export type RequestFailure = JetStreamError | NoRespondersError | PermissionError | NoAnswerError | ConnectionLostError;

/** The server's number of an error, 0 for errors that have none. */
export function apiCodeOf(error: unknown): number {
  return error instanceof JetStreamError ? error.apiCode : 0;
}
