/**
 * Shares the room for held broker deliveries (`jobs.pipeline_size`) among pipelines: each consuming pipeline has a
 * reserve nobody else can take, the rest goes to whoever comes first. So a pipeline at its limit stops fetching and
 * nobody else notices.
 */
export class HoldBudget {
  readonly #size: number;
  #holders = 0;
  #reserve = 0;
  /** Deliveries held beyond their pipeline's reserve. */
  #borrowed = 0;

  /** @param size deliveries that may be held in all */
  constructor(size: number) {
    this.#size = size;
  }

  join(): Holding {
    this.#resize(this.#holders + 1);
    return { own: 0, borrowed: 0 };
  }

  /** What the holding still holds must have been given back. */
  leave(): void {
    this.#resize(this.#holders - 1);
  }

  /** How many more the holding may take. */
  room(holding: Holding): number {
    const shared = this.#size - this.#reserve * this.#holders - this.#borrowed;
    return Math.max(0, this.#reserve - holding.own) + Math.max(0, shared);
  }

  take(holding: Holding): void {
    if (holding.own < this.#reserve) {
      holding.own += 1;
    } else {
      holding.borrowed += 1;
      this.#borrowed += 1;
    }
  }

  giveBack(holding: Holding): void {
    if (holding.borrowed > 0) {
      holding.borrowed -= 1;
      this.#borrowed -= 1;
    } else {
      holding.own -= 1;
    }
  }

  #resize(holders: number): void {
    this.#holders = holders;
    this.#reserve = Math.max(1, Math.floor(this.#size / (2 * Math.max(1, holders))));
  }
}

/** What one pipeline holds. Only the budget changes it. */
export interface Holding {
  own: number;
  borrowed: number;
}
