import type { Delivery } from "../domain/delivery.ts";
import type { DeliverySink } from "../domain/ports/driver.ts";

/** What a driver handed over. */
export interface SinkEntry {
  readonly delivery: Delivery;
  readonly priority: number;
}

/** The core as a driver sees it: keeps what it is handed and lets the test set the credit. */
export class FakeSink implements DeliverySink {
  credit: number;
  /** Everything that was handed over, in order. */
  readonly entries: SinkEntry[] = [];
  /** Called after each hand-over. */
  onDeliver: ((entry: SinkEntry) => void) | undefined;

  constructor(credit = Infinity) {
    this.credit = credit;
  }

  /** Ids of the jobs that were handed over, in order. Unpacks each job. */
  get jobIds(): readonly string[] {
    return this.entries.map(({ delivery }) => delivery.job.id);
  }

  deliver(delivery: Delivery, priority: number): void {
    const entry = { delivery, priority };
    this.entries.push(entry);
    this.onDeliver?.(entry);
  }

  /** The delivery with this index, from the end if it is negative. @throws if there is none */
  at(index: number): Delivery {
    const entry = this.entries.at(index);
    if (entry === undefined) throw new Error(`only ${this.entries.length} deliveries were handed over`);
    return entry.delivery;
  }
}
