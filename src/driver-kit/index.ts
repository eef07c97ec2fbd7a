// Entry of the package `jobsd/driver`, for authors of drivers: see docs/drivers/writing-a-driver.md.

// What a driver implements, and what it is given.
export type { CancelSignal } from "../domain/cancel-signal.ts";
export {
  ACK,
  type DeadLetter,
  type DeadReason,
  type Delivery,
  NACK,
  NACK_FAILED,
  RELEASE,
  type Settlement,
} from "../domain/delivery.ts";
export {
  DeadlineExceededError,
  DriverUnavailableError,
  type ErrorCode,
  InvalidJobError,
  InvalidPipelineError,
  JobsError,
  messageOf,
  PipelineFullError,
  PipelineStateError,
  StaleDeliveryError,
} from "../domain/errors.ts";
export {
  headerValue,
  type JobHeaders,
  mergeHeaders,
  NO_HEADERS,
  toHeaders,
  withHeader,
} from "../domain/job-headers.ts";
export { Job, type JobFields, type KafkaCoordinates } from "../domain/job.ts";
export { DEFAULT_PRIORITY, type PipelineDefinition } from "../domain/pipeline.ts";
export { PipelineSettings } from "../domain/pipeline-settings.ts";
export type { Clock, Timer } from "../domain/ports/clock.ts";
export type {
  CreateDriverFactory,
  DriverContext,
  DriverFactory,
  DriverServices,
} from "../domain/ports/driver-factory.ts";
export {
  type DeliverySink,
  type Driver,
  type DriverCapabilities,
  type DriverStats,
  LINK_CLOSED,
  LINK_READY,
  type LinkState,
  type PushFailure,
} from "../domain/ports/driver.ts";
export type { LogFields, Logger } from "../domain/ports/logger.ts";
export type { Metrics } from "../domain/ports/metrics.ts";
export type { Random } from "../domain/ports/random.ts";

// What our own drivers use, too.
export type { OpenSession, Session } from "../adapters/shared/link.ts";
export { type LinkOptions, type LinkServices, ReconnectingLink } from "../adapters/shared/reconnecting-link.ts";
export { decodeHeaders, DEDUCED_NAME, encodeHeaders, RR } from "../adapters/shared/rr-headers.ts";

// The conformance kit.
export type {
  BrokerAccess,
  DelayPrecision,
  DriverFlags,
  DriverHarness,
  DriverPlace,
  FaultName,
  Faults,
  PlaceWishes,
} from "./harness.ts";
export { DRIVER_SCENARIOS, type DriverKitOptions, testDriver } from "./kit.ts";
export type { KitExpect, KitMatchers, KitRunner, KitTest } from "./runner.ts";
