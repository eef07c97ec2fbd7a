/**
 * Shares the room for held broker deliveries (`jobs.pipeline_size`) among pipelines: each consuming pipeline has a
 * reserve nobody else can take, the rest goes to whoever comes first. So a pipeline at its limit stops fetching and
 * nobody else notices. Since reserves are promises, more than the size may be held for a while after a pipeline
 * joined; what then is held beyond the reserves goes down with each delivery that is given back.
 */
export class HoldBudget {
  readonly #size: number;
  readonly #members = new Set<Holding>();
  /** Sum of all reserves. */
  #reserved = 0;
  /** Deliveries held beyond their pipeline's reserve. */
  #borrowed = 0;

  /** @param size deliveries that may be held in all */
  constructor(size: number) {
    this.#size = size;
  }

  /** The pipeline consumes: it gets a reserve. Idempotent. */
  join(holding: Holding): void {
    this.#members.add(holding);
    this.#share();
  }

  /** The pipeline consumes no more: what it still holds counts as borrowed until it is given back. Idempotent. */
  leave(holding: Holding): void {
    if (!this.#members.delete(holding)) return;
    this.#setReserve(holding, 0);
    this.#share();
  }

  /** How many more the holding may take. */
  room(holding: Holding): number {
    const shared = this.#size - this.#reserved - this.#borrowed;
    return Math.max(0, holding.reserve - holding.held) + Math.max(0, shared);
  }

  take(holding: Holding): void {
    if (holding.held >= holding.reserve) this.#borrowed += 1;
    holding.held += 1;
  }

  giveBack(holding: Holding): void {
    holding.held -= 1;
    if (holding.held >= holding.reserve) this.#borrowed -= 1;
  }

  #share(): void {
    const reserve = Math.max(1, Math.floor(this.#size / (2 * this.#members.size)));
    for (const holding of this.#members) this.#setReserve(holding, reserve);
  }

  #setReserve(holding: Holding, reserve: number): void {
    this.#reserved += reserve - holding.reserve;
    this.#borrowed += Math.max(0, holding.held - reserve) - Math.max(0, holding.held - holding.reserve);
    holding.reserve = reserve;
  }
}

/** What one pipeline holds. Only the budget changes it. */
export interface Holding {
  held: number;
  /** Deliveries of which the room is the pipeline's alone; 0 while it does not consume. */
  reserve: number;
}
