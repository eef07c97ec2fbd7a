/** What a failed call means for whoever made it. */
export type FaultKind =
  /** There is no such queue. */
  | "missing"
  /** The queue exists with other attributes. */
  | "exists"
  /** A queue of this name was deleted less than a minute ago. */
  | "deleted_recently"
  /** The receipt handle is worth nothing any more: the message is somebody else's, or gone. */
  | "stale"
  /** Too many requests, or too many messages in flight. */
  | "throttled"
  /** Credentials or permissions. */
  | "denied"
  /** The request can not be carried out as it is. */
  | "refused"
  /** Nothing was sent: the server could not be reached. */
  | "unreachable"
  /** The server said that it failed. */
  | "server"
  /** The answer did not come: the request may have been carried out. */
  | "lost"
  /** The answer does not match its checksum: the request was carried out. */
  | "checksum"
  /** The caller's signal fired. */
  | "aborted";

/** A call to SQS that failed. Stays inside the adapter; `cause` is the client's own error. */
export class SqsFault extends Error {
  readonly kind: FaultKind;
  /** Name the service gives the failure, e.g. `QueueDoesNotExist`. */
  readonly code: string;

  constructor(kind: FaultKind, code: string, message: string, cause?: unknown) {
    super(message === "" || message === code ? code : `${code}: ${message}`, { cause });
    this.name = "SqsFault";
    this.kind = kind;
    this.code = code;
  }
}

const KINDS: Readonly<Record<string, FaultKind>> = {
  QueueDoesNotExist: "missing",
  NonExistentQueue: "missing",
  QueueNameExists: "exists",
  QueueAlreadyExists: "exists",
  QueueDeletedRecently: "deleted_recently",
  ReceiptHandleIsInvalid: "stale",
  MessageNotInflight: "stale",
  OverLimit: "throttled",
  RequestThrottled: "throttled",
  RequestLimitExceeded: "throttled",
  Throttling: "throttled",
  ThrottlingException: "throttled",
  ThrottledException: "throttled",
  TooManyRequestsException: "throttled",
  SlowDown: "throttled",
  KmsThrottled: "throttled",
  AccessDenied: "denied",
  AccessDeniedException: "denied",
  AuthFailure: "denied",
  InvalidClientTokenId: "denied",
  UnrecognizedClientException: "denied",
  SignatureDoesNotMatch: "denied",
  InvalidSignatureException: "denied",
  IncompleteSignature: "denied",
  MissingAuthenticationToken: "denied",
  ExpiredToken: "denied",
  ExpiredTokenException: "denied",
  RequestExpired: "denied",
  OptInRequired: "denied",
  InvalidSecurity: "denied",
  CredentialsProviderError: "denied",
  TokenProviderError: "denied",
  KmsAccessDenied: "denied",
  KmsDisabled: "denied",
  KmsInvalidState: "denied",
  KmsNotFound: "denied",
  KmsOptInRequired: "denied",
  KmsInvalidKeyUsage: "denied",
  ECONNREFUSED: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ECONNRESET: "lost",
  EPIPE: "lost",
  ETIMEDOUT: "lost",
  TimeoutError: "lost",
  InternalError: "server",
  InternalFailure: "server",
  InternalServerError: "server",
  ServiceUnavailable: "server",
  AbortError: "aborted",
};

const LEGACY_PREFIX = "AWS.SimpleQueueService.";

function nameIn(code: string): string {
  return code.startsWith(LEGACY_PREFIX) ? code.slice(LEGACY_PREFIX.length) : code;
}

/** Whether a code alone says what went wrong. */
export function isKnownCode(code: string): boolean {
  return Object.hasOwn(KINDS, nameIn(code));
}

/** Kind of a failure by its name; by its HTTP status where the name says nothing. */
export function kindOf(code: string, message: string, status: number | undefined): FaultKind {
  if (/^Invalid(?!Client)/.test(code) && /receipt/i.test(message) && /expired/i.test(message)) return "stale";
  if (/InvalidChecksum|Invalid MD5/.test(message)) return "checksum";
  const known = isKnownCode(code) ? KINDS[nameIn(code)] : undefined;
  if (known !== undefined) return known;
  if (status === 429) return "throttled";
  if (status === 401 || status === 403) return "denied";
  if (status !== undefined && status >= 500) return "server";
  if (status !== undefined && status >= 400) return "refused";
  // No usable answer at all, e.g. the page of a proxy.
  return "lost";
}

/** Whether the same call may succeed later without anyone changing anything. */
export function isTransient(kind: FaultKind): boolean {
  return kind === "throttled" || kind === "unreachable" || kind === "server" || kind === "lost";
}
