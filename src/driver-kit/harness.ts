import type { CreateDriverFactory } from "../domain/ports/driver-factory.ts";

/** Faults a harness may be able to cause. */
export type FaultName =
  "cut" | "refuse" | "stall" | "slow" | "resetAfter" | "restartBroker" | "killBroker" | "deleteQueue";

/** How precise a broker's delays are. */
export interface DelayPrecision {
  /** How much too early a job may come, milliseconds; 0 for most. */
  readonly earlyMs: number;
  /** How much too late it may come on a busy machine, milliseconds. */
  readonly lateMs: number;
}

/**
 * What a broker can do. Scenarios that need what it can not do are skipped by name, with the reason; so a flag is a
 * promise to the users of the driver and belongs into its documentation.
 */
export interface DriverFlags {
  /** As in the driver's capabilities. */
  readonly storage: "broker" | "local";
  /** As in the driver's capabilities. */
  readonly nativeDeadLetter: boolean;
  /** As in the driver's capabilities. */
  readonly retryKeepsHeaders: boolean;
  /** What `nack` and a worker's nack without requeue do, as in the driver's capabilities. */
  readonly nack?: "resend" | "native";
  /** Jobs of one producer come in the order in which they were pushed. */
  readonly ordered: boolean;
  /** Jobs that are released in order take their old places. */
  readonly releaseKeepsOrder: boolean;
  /** Of waiting jobs the broker itself delivers those with the smaller priority first. */
  readonly brokerPriority: boolean;
  /** `false`: a job with a delay is refused. */
  readonly delay: DelayPrecision | false;
  /** `text`: payloads are text, one character or more and none of them a control character; any other is refused. */
  readonly payloads?: "text";
  /** A job with a payload of so many bytes is stored. At least 65,536 minus the room its fields need. */
  readonly largestPayloadBytes: number;
  /** A job with a payload of so many bytes is refused; absent where there is no limit. */
  readonly refusedPayloadBytes?: number;
  /** Which numbers `stats` knows. */
  readonly stats: { readonly active: boolean; readonly delayed: boolean; readonly reserved: boolean };
  /** Several drivers may consume one place at once and share its jobs. */
  readonly sharesJobs: boolean;
  /** A message written by somebody else becomes a job with the message as payload. */
  readonly foreignMessages: boolean;
  /**
   * What becomes of deliveries when their connection is lost. `stale`: the broker delivers them again, and they can not
   * be settled any more. `valid`: they can be settled all the same. `recovered`: what the broker delivers again goes to
   * the delivery that is open, which can be settled from then on; one that was acknowledged before is not run again.
   */
  readonly afterLostConnection: "stale" | "valid" | "recovered";
  /** Whether `link` tells of a lost connection; not so where each call is a connection of its own. */
  readonly linkFollowsConnection: boolean;
  /** Time after which the jobs of a consumer that is gone are delivered to another one at the latest, milliseconds. */
  readonly redeliveryMs: number;
  readonly faults: readonly FaultName[];
}

/** What the harness does with the broker directly, past the driver. */
export interface BrokerAccess {
  /** Puts a message there as somebody who knows nothing of jobs would. For `foreignMessages`. */
  put(body: Uint8Array): Promise<void>;
  /** Jobs the broker still has in this place, unsettled and delayed ones included. */
  count(): Promise<number>;
  /** Payloads the broker keeps as dead letters of this place. For `nativeDeadLetter`. */
  deadLetters(): Promise<readonly Uint8Array[]>;
}

/** Faults between the driver and its broker; each is in `DriverFlags.faults` if the harness has it. */
export interface Faults {
  /** Ends all connections without a goodbye; new ones are possible. */
  cut(): void | Promise<void>;
  /** Ends all connections, and new ones fail until `heal`. */
  refuse(): void | Promise<void>;
  /** Connections stay and new ones are accepted, but nothing passes until `heal`. */
  stall(): void | Promise<void>;
  /** Everything takes so much longer until `heal`, milliseconds. */
  slow(delayMs: number): void | Promise<void>;
  /** Ends the connection once so many further bytes went to the broker: in the middle of a message. */
  resetAfter(bytes: number): void | Promise<void>;
  /** Stops the broker in an orderly way and starts it again; resolves when it answers. */
  restartBroker(): Promise<void>;
  /** Kills the broker and starts it again; resolves when it answers. */
  killBroker(): Promise<void>;
  /** Deletes the queue, with everything in it, behind the driver's back. */
  deleteQueue(): Promise<void>;
  /** Ends `refuse`, `stall` and `slow`. */
  heal(): void | Promise<void>;
}

/** A queue of its own for one scenario, and how to get at it. Several drivers may be built on it. */
export interface DriverPlace {
  readonly createFactory: CreateDriverFactory;
  /** Section of the daemon's configuration for the kind; `{}` if absent. */
  readonly section?: Readonly<Record<string, unknown>>;
  /** Options of a pipeline in this place, as they would stand in YAML. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly broker?: Partial<BrokerAccess>;
  readonly faults?: Partial<Faults>;
  /** Deletes the queue and what belongs to it; after all drivers were closed. */
  remove(): Promise<void>;
}

/** What a scenario wants of its place. */
export interface PlaceWishes {
  /** The broker keeps dead letters (`nativeDeadLetter`), if that has to be set up. */
  readonly deadLetters: boolean;
  /** The broker orders by priority (`brokerPriority`), if that has to be set up. */
  readonly priorities: boolean;
}

/** What the author of a driver implements to have it tested. Lives in the tests of the driver. */
export interface DriverHarness {
  /** The value of `driver:` in the configuration. */
  readonly kind: string;
  readonly flags: DriverFlags;
  /** Called once for each scenario; scenarios do not disturb each other. */
  place(wishes: PlaceWishes): Promise<DriverPlace>;
}
