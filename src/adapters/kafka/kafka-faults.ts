import { type FaultKind, KafkaFault } from "./kafka-session.ts";

const KIND_OF_CODE: Readonly<Record<string, FaultKind>> = {
  UNKNOWN_TOPIC_OR_PARTITION: "unknown_topic",
  UNKNOWN_TOPIC_ID: "unknown_topic",
  MESSAGE_TOO_LARGE: "too_large",
  RECORD_LIST_TOO_LARGE: "too_large",
  OUT_OF_ORDER_SEQUENCE_NUMBER: "producer_state",
  UNKNOWN_PRODUCER_ID: "producer_state",
  INVALID_PRODUCER_EPOCH: "producer_state",
  INVALID_PRODUCER_ID_MAPPING: "producer_state",
  REBALANCE_IN_PROGRESS: "stale_group",
  ILLEGAL_GENERATION: "stale_group",
  UNKNOWN_MEMBER_ID: "stale_group",
  FENCED_INSTANCE_ID: "stale_group",
  INVALID_TOPIC_EXCEPTION: "refused",
  SASL_AUTHENTICATION_FAILED: "refused",
  UNSUPPORTED_SASL_MECHANISM: "refused",
  ILLEGAL_SASL_STATE: "refused",
};

const KIND_OF_NAME: Readonly<Record<string, FaultKind>> = {
  KafkaJSSASLAuthenticationError: "refused",
  KafkaJSConnectionError: "unreachable",
  KafkaJSConnectionClosedError: "unreachable",
  KafkaJSRequestTimeoutError: "unreachable",
  KafkaJSBrokerNotFound: "unreachable",
  KafkaJSNoBrokerAvailableError: "unreachable",
  KafkaJSLockTimeout: "unreachable",
  KafkaJSTimeout: "unreachable",
  KafkaJSMetadataNotLoaded: "busy",
  KafkaJSTopicMetadataNotLoaded: "busy",
};

/** The client wraps errors in each other; the innermost that says something counts. */
interface ClientError {
  readonly name?: unknown;
  readonly type?: unknown;
  readonly retriable?: unknown;
  readonly cause?: unknown;
}

/** Longest chain of causes that is looked at. */
const MAX_CAUSES = 10;

/** Translates whatever the client threw. */
export function toFault(error: unknown): KafkaFault {
  if (error instanceof KafkaFault) return error;
  let kind: FaultKind | undefined;
  let code = "";
  let retriable = false;
  let current: unknown = error;
  for (let depth = 0; depth < MAX_CAUSES && isClientError(current); depth++) {
    const type = typeof current.type === "string" ? current.type : "";
    const name = typeof current.name === "string" ? current.name : "";
    if (type !== "") code = type;
    kind = kindOf(type) ?? KIND_OF_NAME[name] ?? kind;
    retriable ||= current.retriable === true;
    current = current.cause;
  }
  return new KafkaFault(kind ?? (retriable ? "busy" : "other"), code, error);
}

function isClientError(error: unknown): error is ClientError {
  return typeof error === "object" && error !== null;
}

function kindOf(code: string): FaultKind | undefined {
  if (code.endsWith("_AUTHORIZATION_FAILED")) return "refused";
  return KIND_OF_CODE[code];
}
