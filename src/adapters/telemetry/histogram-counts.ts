/** Upper limits of the buckets of every duration, seconds: RoadRunner's. */
export const BUCKETS_SEC = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const;

/** Durations counted into buckets. Plain numbers: counting allocates nothing. */
export class HistogramCounts {
  /** Values per bucket, not cumulative; the last one is for all that is longer. */
  readonly #counts = new Float64Array(BUCKETS_SEC.length + 1);
  #sum = 0;
  #count = 0;

  get sum(): number {
    return this.#sum;
  }

  get count(): number {
    return this.#count;
  }

  /** Counts `times` values of the same length. */
  observe(seconds: number, times = 1): void {
    let bucket = 0;
    while (bucket < BUCKETS_SEC.length && seconds > (BUCKETS_SEC[bucket] ?? Infinity)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + times;
    this.#sum += seconds * times;
    this.#count += times;
  }

  /** Values up to each limit, in the order of `BUCKETS_SEC`. */
  cumulative(): readonly number[] {
    let total = 0;
    return BUCKETS_SEC.map((_limit, bucket) => (total += this.#counts[bucket] ?? 0));
  }
}
