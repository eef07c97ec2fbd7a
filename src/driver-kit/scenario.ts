import type { DriverFlags, FaultName, PlaceWishes } from "./harness.ts";
import type { Stage } from "./stage.ts";

/** One thing a driver has to do. */
export interface Scenario {
  /** By which tests refer to it, e.g. to put an identifier before its title. Unique. */
  readonly key: string;
  /** A sentence about behaviour. */
  readonly title: string;
  /** Why the scenario says nothing about a driver with these flags; `undefined` if it does. */
  readonly unless?: (flags: DriverFlags) => string | undefined;
  readonly wishes?: Partial<PlaceWishes>;
  /** What it may take besides the broker's redelivery time, milliseconds. Default 60 s. */
  readonly limitMs?: number;
  run(stage: Stage): Promise<void>;
}

/** Why it says nothing. */
type Unless = NonNullable<Scenario["unless"]>;

/** The first reason counts. */
export function anyOf(...conditions: readonly Unless[]): Unless {
  return (flags) => {
    for (const condition of conditions) {
      const reason = condition(flags);
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
}

/** Its jobs live in the daemon, so there is nothing between it and a broker. */
export const withoutBroker: Unless = ({ storage }) =>
  storage === "local" ? "its jobs live in the daemon, not in a broker" : undefined;

export const withoutOrder: Unless = ({ ordered }) => (ordered ? undefined : "it promises no order");

export const withoutDelay: Unless = ({ delay }) => (delay === false ? "it has no delays" : undefined);

export function withoutFault(...names: readonly FaultName[]): Unless {
  return ({ faults }) => {
    const missing = names.filter((name) => !faults.includes(name));
    return missing.length > 0 ? `its harness can not ${missing.join(", ")}` : undefined;
  };
}
