import type { Job } from "../../domain/job.ts";
import { NO_HEADERS } from "../../domain/job-headers.ts";
import type { WorkerTask } from "../../domain/ports/worker-pool.ts";

/*
 * Key order is the original's, per driver:
 *
 * memory (and any driver without queue)   id job driver headers pipeline
 * amqp                                    id job driver queue headers pipeline
 * nats                                    id job driver headers pipeline queue
 * kafka                                   id job driver headers pipeline queue topic partition offset
 * others                                  id job driver headers queue pipeline
 */

/** The parts of a context that are the same for all jobs of one name in one pipeline. */
interface ConstantParts {
  readonly name: string;
  readonly pipeline: string;
  readonly driver: string;
  readonly queue: string | undefined;
  /** From behind the id up to the headers. */
  readonly middle: string;
  /** From behind the headers on; for Kafka without the place of the record. */
  readonly end: string;
}

const MAX_CACHED = 1024;

/**
 * Builds the JSON a worker gets with each job. What pipeline, driver, queue and job name contribute is built once and
 * remembered, for at most 1024 combinations.
 */
export class JobContexts {
  readonly #parts = new Map<string, ConstantParts>();
  #last: ConstantParts | undefined;

  /** The context of a job as JSON text. `headers` is always an object of lists. */
  contextOf(task: WorkerTask): string {
    const job = task.job;
    const parts = this.#partsOf(job, task.driver, task.queue);
    const headers = job.headers === NO_HEADERS ? "{}" : JSON.stringify(job.headers);
    const context = `{"id":${JSON.stringify(job.id)}${parts.middle}${headers}${parts.end}`;
    return task.driver === "kafka" ? context + kafkaEnd(job, task.queue) : context;
  }

  #partsOf(job: Job, driver: string, queue: string | undefined): ConstantParts {
    const last = this.#last;
    if (last?.name === job.name && last.pipeline === job.pipeline && last.queue === queue && last.driver === driver) {
      return last;
    }
    const key = `${job.pipeline}\u0000${driver}\u0000${queue ?? "\u0000"}\u0000${job.name}`;
    let parts = this.#parts.get(key);
    if (parts === undefined) {
      if (this.#parts.size >= MAX_CACHED) this.#parts.clear();
      parts = constantParts(job, driver, queue);
      this.#parts.set(key, parts);
    }
    this.#last = parts;
    return parts;
  }
}

function constantParts(job: Job, driver: string, queue: string | undefined): ConstantParts {
  const start = `,"job":${JSON.stringify(job.name)},"driver":${JSON.stringify(driver)}`;
  const queueField = queue === undefined ? "" : `,"queue":${JSON.stringify(queue)}`;
  const pipelineField = `,"pipeline":${JSON.stringify(job.pipeline)}`;
  const identity = { name: job.name, pipeline: job.pipeline, driver, queue };
  switch (driver) {
    case "amqp":
      return { ...identity, middle: `${start}${queueField},"headers":`, end: `${pipelineField}}` };
    case "nats":
      return { ...identity, middle: `${start},"headers":`, end: `${pipelineField}${queueField}}` };
    case "kafka":
      return { ...identity, middle: `${start},"headers":`, end: `${pipelineField}${queueField}` };
    default:
      return { ...identity, middle: `${start},"headers":`, end: `${queueField}${pipelineField}}` };
  }
}

/** PHP's Kafka task needs partition and offset, so they are written even if the job has no place in Kafka. */
function kafkaEnd(job: Job, queue: string | undefined): string {
  const topic = job.kafka?.topic ?? queue ?? "";
  return `,"topic":${JSON.stringify(topic)},"partition":${job.kafka?.partition ?? 0},"offset":${job.kafka?.offset ?? 0}}`;
}
