import type { Delivery } from "../../src/domain/delivery.ts";
import type { JobFields } from "../../src/domain/job.ts";
import type { PipelineDefinition } from "../../src/domain/pipeline.ts";
import { PipelineSettings } from "../../src/domain/pipeline-settings.ts";
import { DEFAULT_POLICY } from "../../src/domain/policy.ts";
import {
  type Driver,
  type DriverCapabilities,
  type DriverStats,
  LINK_READY,
  type PushFailure,
} from "../../src/domain/ports/driver.ts";
import { aJob } from "../../src/testing/a-job.ts";

/** A delivery nobody has to settle; its job has the given fields. */
export function aDelivery(fields: Partial<JobFields> = {}): Delivery {
  return { job: aJob(fields), queue: undefined, settle: () => undefined };
}

/** What a scheduler looks at in a pipeline. */
export interface FlowSpec {
  readonly pipeline: string;
  readonly pool: string;
  readonly weight: number;
  readonly concurrency: number;
  readonly fetchAhead: number;
}

export function aFlowSpec(fields: Partial<FlowSpec> = {}): PipelineDefinition {
  const { pipeline = "mails", pool = "", ...policy } = fields;
  return {
    name: pipeline,
    driver: "idle",
    priority: 10,
    pool,
    settings: new PipelineSettings({}),
    policy: { ...DEFAULT_POLICY, ...policy },
    origin: "config",
  };
}

export const BROKER: DriverCapabilities = {
  storage: "broker",
  nativeDeadLetter: false,
  retryKeepsHeaders: false,
  prefetch: 1000,
};

export const LOCAL: DriverCapabilities = { ...BROKER, storage: "local" };

/** A driver without a broker: it only remembers how often it was told that there is credit again. */
export class IdleDriver implements Driver {
  readonly kind = "idle";
  readonly queue = "idle";
  readonly link = LINK_READY;
  readonly capabilities: DriverCapabilities;
  wakeUps = 0;
  /** Called on each wake-up, to fetch from inside it as a driver may. */
  onWakeUp: () => void = () => undefined;

  constructor(capabilities: Partial<DriverCapabilities> = {}) {
    this.capabilities = { ...BROKER, ...capabilities };
  }

  creditAvailable(): void {
    this.wakeUps += 1;
    this.onWakeUp();
  }

  push(): undefined {
    return undefined;
  }

  pushBatch(): readonly PushFailure[] {
    return [];
  }

  resume(): Promise<void> {
    return Promise.resolve();
  }

  pause(): Promise<void> {
    return Promise.resolve();
  }

  stats(): Promise<DriverStats> {
    return Promise.resolve({ active: 0, delayed: 0, reserved: 0 });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
