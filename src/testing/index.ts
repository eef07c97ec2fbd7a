// Entry of the package `jobsd/testing`, and for that reason the one file that only re-exports.
export { aJob } from "./a-job.ts";
export { aPipeline } from "./a-pipeline.ts";
export { type DaemonExit, type DaemonLogLine, type DaemonOptions, DaemonProcess } from "./daemon-process.ts";
export { FakeClock, settled } from "./fake-clock.ts";
export {
  FakeDriver,
  type FakeDeliveryOptions,
  type FakeDriverCall,
  type FakeDriverOptions,
  type FakeSettlement,
} from "./fake-driver.ts";
export { FakeDriverFactory } from "./fake-driver-factory.ts";
export { FakeFailedStore, type FakeFailedStoreCall } from "./fake-failed-store.ts";
export { FakeIdGenerator } from "./fake-id-generator.ts";
export { FakeLogger, type LogRecord } from "./fake-logger.ts";
export { FakeMetrics } from "./fake-metrics.ts";
export { FakePool, type RunningTask } from "./fake-pool.ts";
export { FakeRandom } from "./fake-random.ts";
export { FakeSink, type SinkEntry } from "./fake-sink.ts";
export { FakeSpan, FakeTracer } from "./fake-tracer.ts";
export { encodeBatch, type JobToPush, RpcCallError, RpcClient, type RpcTarget } from "./rpc-client.ts";
export { FaultPlan, type HeldCall } from "./fault-plan.ts";
