/** A call that waits until the test ends it. */
export interface HeldCall {
  /** Name of the call, e.g. `push`. */
  readonly call: string;
  /** Lets it end as it would have. */
  complete(): void;
  fail(error: Error): void;
}

/** Decides how the next calls of a fake end: as usual, with an error, or when the test says so. */
export class FaultPlan<Call extends string> {
  /** Calls that wait, oldest first. */
  readonly held: HeldCall[] = [];
  readonly #failures = new Map<Call, Error[]>();
  readonly #holding = new Set<Call>();

  /** The next `times` calls fail. */
  failNext(call: Call, error: Error, times = 1): void {
    const failures = this.#failures.get(call) ?? [];
    for (let count = 0; count < times; count++) failures.push(error);
    this.#failures.set(call, failures);
  }

  /** From now on such calls wait in `held`. */
  hold(call: Call): void {
    this.#holding.add(call);
  }

  /** From now on such calls end at once; those that wait end too. */
  letGo(call: Call): void {
    this.#holding.delete(call);
    for (const held of this.held.filter((candidate) => candidate.call === call)) held.complete();
  }

  /** `effect` is what the call does when it succeeds. @returns `undefined` if it succeeded at once */
  run(call: Call, effect: () => void): Promise<void> | undefined {
    const failure = this.#failures.get(call)?.shift();
    if (failure !== undefined) return Promise.reject(failure);
    if (this.#holding.has(call)) return this.#wait(call, effect);
    effect();
    return undefined;
  }

  #wait(call: Call, effect: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const held: HeldCall = {
        call,
        complete: () => {
          if (!this.#forget(held)) return;
          effect();
          resolve();
        },
        fail: (error) => {
          if (this.#forget(held)) reject(error);
        },
      };
      this.held.push(held);
    });
  }

  #forget(held: HeldCall): boolean {
    const index = this.held.indexOf(held);
    if (index < 0) return false;
    this.held.splice(index, 1);
    return true;
  }
}
