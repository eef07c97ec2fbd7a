/** Headers of a task: each name has a list of values. */
export type TaskHeaders = Readonly<Record<string, readonly string[]>>;

export interface AnswerOptions {
  /** Run the job again. Default: false. */
  readonly requeue?: boolean;
  /** Seconds until it runs again, whole. Default: 0. */
  readonly delaySec?: number;
  /** Replace the job's headers of the same names. Default: none. */
  readonly headers?: TaskHeaders;
}

export type Respond = (body: string) => void;

/** `ack`, `nack`, `requeue` or `fail` was called a second time. */
export class AlreadyAnsweredError extends Error {
  constructor(id: string) {
    super(`task ${id} was answered before: a second answer would be taken for the one to the next task`);
    this.name = "AlreadyAnsweredError";
  }
}

const TYPES = { error: 1, ack: 2, nack: 3, requeue: 4 } as const;

/** One job. Answer it exactly once. */
export class Task {
  readonly id: string;
  /** What the producer called the job; choose the handler by it. */
  readonly name: string;
  readonly pipeline: string;
  /** Kind of the driver the job came through, e.g. `memory` or `amqp`. */
  readonly driver: string;
  /** Broker-side queue, topic, tube or subject; `undefined` where there is none. */
  readonly queue: string | undefined;
  readonly headers: TaskHeaders;
  /** The producer's bytes, untouched. Copy them if they are to outlive the task. */
  readonly payload: Uint8Array;
  readonly #respond: Respond;
  #answered = false;

  /** Made by `consume`. */
  constructor(context: unknown, payload: Uint8Array, respond: Respond) {
    const fields: Record<string, unknown> = { ...(typeof context === "object" ? context : {}) };
    const text = (name: string): string | undefined => {
      const value = fields[name];
      return typeof value === "string" ? value : undefined;
    };
    this.id = text("id") ?? "";
    this.name = text("job") ?? "";
    this.pipeline = text("pipeline") ?? "unknown";
    this.driver = text("driver") ?? "unknown";
    this.queue = text("queue");
    this.headers = toHeaders(fields["headers"]);
    this.payload = payload;
    this.#respond = respond;
  }

  /** Whether an answer was given. */
  get answered(): boolean {
    return this.#answered;
  }

  /** The job is done. */
  ack(): void {
    this.#answer(TYPES.ack, []);
  }

  /** The job can not be done: it becomes a dead letter, or runs again with `requeue`. Headers are not changed. */
  nack(message: string, options: Omit<AnswerOptions, "headers"> = {}): void {
    this.#answer(TYPES.nack, { message, requeue: options.requeue ?? false, delay_seconds: options.delaySec ?? 0 });
  }

  /** The job is to run again. */
  requeue(message: string, options: Omit<AnswerOptions, "requeue"> = {}): void {
    this.#answer(TYPES.requeue, { message, delay_seconds: options.delaySec ?? 0, ...headersOf(options) });
  }

  /** The job has failed: the daemon logs it and forgets it, or runs it again with `requeue`. */
  fail(message: string, options: AnswerOptions = {}): void {
    const { requeue = false, delaySec = 0 } = options;
    this.#answer(TYPES.error, { message, requeue, delay_seconds: delaySec, ...headersOf(options) });
  }

  #answer(type: number, data: unknown): void {
    if (this.#answered) throw new AlreadyAnsweredError(this.id);
    const body = JSON.stringify({ type, data });
    this.#answered = true;
    this.#respond(body);
  }
}

function headersOf(options: AnswerOptions): { readonly headers?: TaskHeaders } {
  return options.headers === undefined ? {} : { headers: options.headers };
}

function toHeaders(value: unknown): TaskHeaders {
  const headers: Record<string, readonly string[]> = Object.create(null) as Record<string, readonly string[]>;
  if (typeof value !== "object" || value === null) return headers;
  for (const [name, list] of Object.entries(value)) {
    headers[name] = Array.isArray(list) ? list.filter((item) => typeof item === "string") : [];
  }
  return headers;
}
