/** Executions after which the mean of a class is believed. */
const MIN_SAMPLES = 8;
/** Weight of the newest execution in the mean. */
const ALPHA = 0.2;
/** Classes that are remembered; the ones not used longest go first. */
const MAX_CLASSES = 1024;
/** An execution that takes so many times the mean is an outlier, if it is several windows long … */
const OUTLIER_FACTOR = 10;
/** … since a process that has to wait for its turn on a busy machine takes that long, too. */
const OUTLIER_WINDOWS = 5;
/** What takes that long is an outlier in any case. */
const OUTLIER_MS = 20;
/** Jobs that run one at a time after two outliers within as many jobs; a single one may be the machine's fault. */
const PENALTY_JOBS = 1000;

/** Jobs of one name in one pipeline, and how long they take. */
export class JobClass {
  readonly #windowMs: number;
  readonly #maxDepth: number;
  #meanMs = 0;
  #samples = 0;
  /** Jobs that still have to run one at a time. */
  #penalty = 0;
  /** Jobs since the last outlier. */
  #quiet = Infinity;
  #depth = 1;

  constructor(windowMs: number, maxDepth: number) {
    this.#windowMs = windowMs;
    this.#maxDepth = maxDepth;
  }

  /** What the next job will probably take; `Infinity` while nobody can tell. */
  get predictedMs(): number {
    return this.#samples < MIN_SAMPLES || this.#penalty > 0 ? Infinity : this.#meanMs;
  }

  /** Frames of this class that may be in one worker; grows and shrinks with what was seen. */
  get depth(): number {
    return this.#penalty > 0 ? 1 : this.#depth;
  }

  /** Counts an execution in. */
  record(elapsedMs: number): void {
    const outlier = elapsedMs > OUTLIER_WINDOWS * this.#windowMs && elapsedMs > OUTLIER_FACTOR * this.#meanMs;
    if (this.#penalty > 0) this.#penalty -= 1;
    this.#quiet += 1;
    if (this.#samples >= MIN_SAMPLES && (outlier || elapsedMs > OUTLIER_MS)) {
      if (this.#quiet <= PENALTY_JOBS) this.#penalty = PENALTY_JOBS;
      this.#quiet = 0;
      this.#samples += 1;
      this.#depth = 1;
      return;
    }
    this.#meanMs = this.#samples === 0 ? elapsedMs : this.#meanMs + ALPHA * (elapsedMs - this.#meanMs);
    this.#samples += 1;
    const fits = this.#meanMs * (this.#depth + 1) <= this.#windowMs;
    this.#depth = fits ? Math.min(this.#maxDepth, this.#depth + 1) : Math.max(1, this.#depth - 1);
  }
}

/** Finds the class of a job; knows the 1024 that were used last. */
export class JobClasses {
  readonly #windowMs: number;
  readonly #maxDepth: number;
  readonly #classes = new Map<string, JobClass>();
  #lastPipeline = "";
  #lastName = "";
  #last: JobClass | undefined;

  /**
   * @param windowMs predicted work that may wait in one worker
   * @param maxDepth frames that may be in one worker
   */
  constructor(windowMs: number, maxDepth: number) {
    this.#windowMs = windowMs;
    this.#maxDepth = maxDepth;
  }

  of(job: { readonly pipeline: string; readonly name: string }): JobClass {
    if (this.#last !== undefined && job.name === this.#lastName && job.pipeline === this.#lastPipeline) {
      return this.#last;
    }
    const key = `${job.pipeline}\u0000${job.name}`;
    const known = this.#classes.get(key);
    const found = known ?? new JobClass(this.#windowMs, this.#maxDepth);
    // Set again, behind the others: the map is in the order of use.
    this.#classes.delete(key);
    this.#classes.set(key, found);
    if (known === undefined) this.#forgetOldest();
    this.#lastPipeline = job.pipeline;
    this.#lastName = job.name;
    this.#last = found;
    return found;
  }

  #forgetOldest(): void {
    if (this.#classes.size <= MAX_CLASSES) return;
    for (const oldest of this.#classes.keys()) {
      this.#classes.delete(oldest);
      return;
    }
  }
}
