import type { Metrics } from "../../domain/ports/metrics.ts";

/** Counts nothing, for a daemon that nobody scrapes. */
export class NoopMetrics implements Metrics {
  pushRequested(): void {
    return;
  }

  pushSucceeded(): void {
    return;
  }

  pushFailed(): void {
    return;
  }

  started(): void {
    return;
  }

  executed(): void {
    return;
  }

  attemptFailed(): void {
    return;
  }

  deadLettered(): void {
    return;
  }

  settleFailed(): void {
    return;
  }

  staleSettlement(): void {
    return;
  }

  redialed(): void {
    return;
  }

  leaseLost(): void {
    return;
  }

  consumerRestarted(): void {
    return;
  }

  memoryDropped(): void {
    return;
  }
}
