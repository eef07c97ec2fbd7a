import type { FailedStore } from "../../domain/ports/failed-store.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/** Looks at the failed store before anything can fail, and closes it when nothing can any more. */
export function failedStoreService(store: FailedStore): Service {
  return {
    name: "failed store",
    phase: "stores",
    start: () => store.start(),
    stop: () => store.close(),
  };
}
