import { DriverUnavailableError, InvalidJobError, InvalidPipelineError, type JobsError } from "../../domain/errors.ts";
import { type FaultKind, isTransient, type SqsFault } from "./sqs-fault.ts";

/** A failed send as its producer sees it. */
export function pushError(fault: SqsFault): JobsError {
  if (fault.kind === "refused") {
    return new InvalidJobError(`sqs: the service refused the message: ${fault.message}`, { cause: fault });
  }
  return unavailable(fault);
}

export function unavailable(fault: SqsFault | undefined): JobsError {
  return new DriverUnavailableError("sqs", fault === undefined ? {} : { cause: fault, reason: reasonOf(fault) });
}

/** What keeps the service from being used, where it is not the connection. */
const REASONS: Partial<Readonly<Record<FaultKind, string>>> = {
  denied: "credentials or permissions do not suffice",
  missing: "the queue does not exist",
  throttled: "the service takes no more requests for now",
  lost: "the answer was lost, the job may have been stored",
  checksum: "the answer does not match its checksum, the job may have been stored",
};

function reasonOf({ kind, message }: SqsFault): string {
  return `${REASONS[kind] ?? "broker is not reachable"} (${message})`;
}

/** A queue that can not be declared, so that trying again would not help. */
export function declarationError(queue: string, fault: SqsFault): JobsError {
  if (isTransient(fault.kind) || fault.kind === "deleted_recently" || fault.kind === "aborted")
    return unavailable(fault);
  const hint =
    fault.kind === "missing"
      ? "create it, or let the pipeline do so (skip_queue_declaration: false, no queue_owner_account_id)"
      : fault.kind === "denied"
        ? "check key, secret and session_token of section sqs, or the credentials of the environment, and the permissions"
        : "check the options queue, attributes and tags";
  return new InvalidPipelineError(`sqs: queue ${queue} can not be used: ${fault.message}; ${hint}`, { cause: fault });
}
