import { type JobHeaders, NO_HEADERS } from "./job-headers.ts";

/** Place of a job in Kafka; the other brokers ignore it. */
export interface KafkaCoordinates {
  /** Target topic on push, topic of the record on delivery. */
  readonly topic: string;
  /** Accepted for compatibility and written nowhere. */
  readonly metadata: string;
  readonly offset: number;
  readonly partition: number;
}

/** Fields of a job; all but the first four have a default. */
export interface JobFields {
  readonly id: string;
  /** PHP class or task name; routed on by the worker only. */
  readonly name: string;
  readonly pipeline: string;
  /** Opaque: never parsed, never logged. */
  readonly payload: Uint8Array;
  readonly headers?: JobHeaders;
  /** Smaller is served first; 0 means the pipeline's. */
  readonly priority?: number;
  /** Seconds, 0 for "now". */
  readonly delaySec?: number;
  /** Settled before it is executed: at most once. */
  readonly autoAck?: boolean;
  readonly kafka?: KafkaCoordinates | undefined;
}

/** A unit of work as its producer wrote it. Immutable: a changed job is a new job. */
export class Job {
  readonly id: string;
  readonly name: string;
  readonly pipeline: string;
  readonly payload: Uint8Array;
  readonly headers: JobHeaders;
  readonly priority: number;
  readonly delaySec: number;
  readonly autoAck: boolean;
  readonly kafka: KafkaCoordinates | undefined;

  constructor(fields: JobFields) {
    this.id = fields.id;
    this.name = fields.name;
    this.pipeline = fields.pipeline;
    this.payload = fields.payload;
    this.headers = fields.headers ?? NO_HEADERS;
    this.priority = fields.priority ?? 0;
    this.delaySec = fields.delaySec ?? 0;
    this.autoAck = fields.autoAck ?? false;
    this.kafka = fields.kafka;
  }

  /** Each pushed job without a priority goes through here, hence no spreading. */
  withPriority(priority: number): Job {
    return new Job({
      id: this.id,
      name: this.name,
      pipeline: this.pipeline,
      payload: this.payload,
      headers: this.headers,
      priority,
      delaySec: this.delaySec,
      autoAck: this.autoAck,
      kafka: this.kafka,
    });
  }

  withHeaders(headers: JobHeaders): Job {
    return new Job({ ...this.#fields(), headers });
  }

  withDelay(delaySec: number): Job {
    return new Job({ ...this.#fields(), delaySec });
  }

  withPayload(payload: Uint8Array): Job {
    return new Job({ ...this.#fields(), payload });
  }

  /**
   * The same job for another pipeline, where it is due at once and has that pipeline's priority. Its place in Kafka
   * is left behind: it names the topic the job came from, and a push would send it there again.
   */
  movedTo(pipeline: string): Job {
    return new Job({ ...this.#fields(), pipeline, priority: 0, delaySec: 0, kafka: undefined });
  }

  #fields(): JobFields {
    return {
      id: this.id,
      name: this.name,
      pipeline: this.pipeline,
      payload: this.payload,
      headers: this.headers,
      priority: this.priority,
      delaySec: this.delaySec,
      autoAck: this.autoAck,
      kafka: this.kafka,
    };
  }
}
