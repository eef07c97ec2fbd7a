import type { Options } from "amqplib";
import type { JobsError } from "../../domain/errors.ts";
import type { DelayQueue } from "./delay-queues.ts";

/** Learns what became of a publication, exactly once. */
export interface PublicationOwner {
  /**
   * @param index of the publication among its owner's
   * @param error `undefined` if the broker has the message
   * @param unknown true if the message may have been stored although there is an error
   */
  finished(index: number, error: JobsError | undefined, unknown: boolean): void;
}

/** A message on its way to the broker. */
export interface Message {
  readonly jobId: string;
  readonly exchange: string;
  readonly routingKey: string;
  /** The queue it waits in first; `undefined` if it is due at once. */
  readonly delay: DelayQueue | undefined;
  /** It must reach a queue, whatever the pipeline says of jobs that no queue takes. */
  readonly mustArrive: boolean;
  readonly body: Buffer;
  readonly properties: Options.Publish;
}

/** One message and its owner's claim to know how it went. */
export class Publication {
  readonly message: Message;
  readonly #owner: PublicationOwner;
  readonly #index: number;
  #done = false;
  /** Given to the client: from now on the broker may have it. */
  written = false;
  /** The broker's reason if it gave the message back, as no queue takes it. */
  returned: string | undefined;
  /** It was given back once because a queue was gone that was declared again. */
  retried = false;

  constructor(message: Message, owner: PublicationOwner, index: number) {
    this.message = message;
    this.#owner = owner;
    this.#index = index;
  }

  /** Nobody waits any more. */
  get done(): boolean {
    return this.#done;
  }

  confirmed(): void {
    this.#finish(undefined, false);
  }

  /** @param unknown default: whether it was written */
  failed(error: JobsError, unknown = this.written): void {
    this.#finish(error, unknown);
  }

  #finish(error: JobsError | undefined, unknown: boolean): void {
    if (this.#done) return;
    this.#done = true;
    this.#owner.finished(this.#index, error, unknown);
  }
}
