import type { ServiceIdentifier } from "inversify";
import type { RpcMethod } from "../adapters/rpc/rpc-router.ts";
import type { DriverLoader } from "../application/driver-catalog.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { DriverFactory } from "../domain/ports/driver-factory.ts";
import type { FailedStore } from "../domain/ports/failed-store.ts";
import type { IdGenerator } from "../domain/ports/id-generator.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { Metrics } from "../domain/ports/metrics.ts";
import type { Random } from "../domain/ports/random.ts";
import type { Tracer } from "../domain/ports/tracer.ts";
import type { WorkerPool } from "../domain/ports/worker-pool.ts";
import type { Config } from "./config/config.ts";
import type { Service } from "./lifecycle/lifecycle.ts";

/** One identifier per port. Classes identify themselves. */
export const TOKENS = {
  Config: Symbol.for("jobsd.Config") as ServiceIdentifier<Config>,
  Clock: Symbol.for("jobsd.Clock") as ServiceIdentifier<Clock>,
  Random: Symbol.for("jobsd.Random") as ServiceIdentifier<Random>,
  IdGenerator: Symbol.for("jobsd.IdGenerator") as ServiceIdentifier<IdGenerator>,
  /** The root logger; components take their channel from it. */
  Logger: Symbol.for("jobsd.Logger") as ServiceIdentifier<Logger>,
  Metrics: Symbol.for("jobsd.Metrics") as ServiceIdentifier<Metrics>,
  Tracer: Symbol.for("jobsd.Tracer") as ServiceIdentifier<Tracer>,
  FailedStore: Symbol.for("jobsd.FailedStore") as ServiceIdentifier<FailedStore>,
  /** Bound once per driver kind; injected as an array. */
  DriverFactory: Symbol.for("jobsd.DriverFactory") as ServiceIdentifier<DriverFactory>,
  /** Bound once per driver kind that is loaded when it is needed; injected as an array. */
  DriverLoader: Symbol.for("jobsd.DriverLoader") as ServiceIdentifier<DriverLoader>,
  /** Bound once per worker pool; injected as an array. */
  WorkerPool: Symbol.for("jobsd.WorkerPool") as ServiceIdentifier<WorkerPool>,
  /** Further methods of the RPC, bound once per part that brings some; injected as an array of arrays. */
  RpcMethods: Symbol.for("jobsd.RpcMethods") as ServiceIdentifier<readonly RpcMethod[]>,
  /** Bound once per part that is started and stopped; injected as an array. */
  Service: Symbol.for("jobsd.Service") as ServiceIdentifier<Service>,
} as const;

/** The logger of component `jobs`, RoadRunner's name for what is done with jobs. */
export const JOBS_LOGGER = Symbol.for("jobsd.Logger.jobs") as ServiceIdentifier<Logger>;
