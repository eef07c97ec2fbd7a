import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { NatsConnection, NatsInbox, NatsMessage } from "./nats-connection.ts";

/** What the fetcher needs of its driver. */
export interface FetcherSurroundings {
  readonly clock: Clock;
  readonly stream: string;
  readonly consumer: string;
  /** How many more deliveries may be handed over. */
  readonly credit: () => number;
  /** A message of the stream. */
  readonly receive: (message: NatsMessage) => void;
  /** The consumer, or its stream, is not there any more, or says nothing. Nothing is fetched until the next `start`. */
  readonly lost: (reason: string) => void;
}

/** A request for messages ends after so long, and a new one follows. */
const EXPIRES_MS = 30_000;
/** The server says at least so often that a request is still open. */
const HEARTBEAT_MS = 5_000;
/** Silence after which the consumer is taken for dead. */
const MAX_SILENCE_MS = 2.5 * HEARTBEAT_MS;
const RETRY_MS = 250;
/** Credit that comes back within so long is asked for together. */
const GATHER_MS = 1;
const MAX_BATCH = 10_000;
const NANOS_PER_MS = 1_000_000;
const PENDING_MESSAGES = "Nats-Pending-Messages";

/**
 * Asks a durable consumer for messages, never for more than there is credit for. Several requests may be open; those
 * that end unfilled say how much of them is left.
 */
export class PullFetcher {
  readonly #surroundings: FetcherSurroundings;
  readonly #subject: string;
  #connection: NatsConnection | undefined;
  #inbox: NatsInbox | undefined;
  /** Asked for and not received. */
  #outstanding = 0;
  #heardAtMs = 0;
  #watch: Timer | undefined;
  #retry: Timer | undefined;
  #gathering: Timer | undefined;

  constructor(surroundings: FetcherSurroundings) {
    this.#surroundings = surroundings;
    const { stream, consumer } = surroundings;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
  }

  get fetching(): boolean {
    return this.#inbox !== undefined;
  }

  /** Begins on this connection. What an earlier one was asked for is not waited for. */
  start(connection: NatsConnection): void {
    this.#reset();
    this.#connection = connection;
    const inbox: NatsInbox = connection.openInbox((message) => {
      this.#received(inbox, message);
    });
    this.#inbox = inbox;
    this.#heardAtMs = this.#surroundings.clock.elapsedMs();
    this.#watchSilence();
    this.#request();
  }

  /**
   * There may be credit. Returns at once: jobs end one by one, and a request for one message costs as much as a
   * request for many, so what is given back within a moment is asked for together.
   */
  refill(): void {
    if (this.#gathering !== undefined || this.#inbox === undefined) return;
    this.#gathering = this.#surroundings.clock.startTimer(GATHER_MS, () => {
      this.#gathering = undefined;
      this.#request();
    });
  }

  #request(): void {
    const connection = this.#connection;
    const inbox = this.#inbox;
    if (connection === undefined || inbox === undefined || this.#retry !== undefined) return;
    const missing = this.#surroundings.credit() - this.#outstanding;
    if (missing < 1 || missing < this.#outstanding) return;
    const batch = Math.min(missing, MAX_BATCH);
    const body = `{"batch":${batch},"expires":${EXPIRES_MS * NANOS_PER_MS},"idle_heartbeat":${HEARTBEAT_MS * NANOS_PER_MS}}`;
    if (this.#outstanding === 0) this.#heardAtMs = this.#surroundings.clock.elapsedMs();
    this.#outstanding += batch;
    connection.send(this.#subject, Buffer.from(body), inbox.subject);
  }

  /** Fetches no more. Resolves when no message is on its way; those that were have been received. Never rejects. */
  async stop(): Promise<void> {
    const inbox = this.#inbox;
    this.#reset();
    await inbox?.drain();
  }

  /** The connection is gone, and with it all requests. */
  disconnected(): void {
    this.#reset();
  }

  #reset(): void {
    this.#connection = undefined;
    this.#inbox = undefined;
    this.#outstanding = 0;
    this.#watch?.cancel();
    this.#watch = undefined;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#gathering?.cancel();
    this.#gathering = undefined;
  }

  #received(inbox: NatsInbox, message: NatsMessage): void {
    if (message.status === 0) {
      if (inbox === this.#inbox) {
        this.#heardAtMs = this.#surroundings.clock.elapsedMs();
        if (this.#outstanding > 0) this.#outstanding -= 1;
      }
      this.#surroundings.receive(message);
      this.refill();
      return;
    }
    if (inbox !== this.#inbox) return;
    this.#heardAtMs = this.#surroundings.clock.elapsedMs();
    this.#told(message);
  }

  /** The server says something about a request. */
  #told({ status, description, headers }: NatsMessage): void {
    if (status === 100) return;
    if (status === 503 || (status === 409 && /consumer deleted/i.test(description))) {
      this.#end(status === 503 ? "nobody answers for the consumer" : "the consumer was deleted");
      return;
    }
    const left = Number(headers?.get(PENDING_MESSAGES)?.[0] ?? NaN);
    if (Number.isInteger(left) && left > 0) {
      this.#outstanding = Math.max(0, this.#outstanding - left);
      if (status === 404 || status === 408) this.refill();
      else this.#refillLater();
      return;
    }
    // E.g. a new leader: it knows nothing of our requests.
    this.#outstanding = 0;
    this.#refillLater();
  }

  #refillLater(): void {
    this.#retry ??= this.#surroundings.clock.startTimer(RETRY_MS, () => {
      this.#retry = undefined;
      this.refill();
    });
  }

  #watchSilence(): void {
    this.#watch = this.#surroundings.clock.startTimer(HEARTBEAT_MS, () => {
      const silentMs = this.#surroundings.clock.elapsedMs() - this.#heardAtMs;
      if (this.#outstanding > 0 && silentMs > MAX_SILENCE_MS) this.#end("the consumer sends no sign of life");
      else this.#watchSilence();
    });
  }

  #end(reason: string): void {
    const inbox = this.#inbox;
    this.#reset();
    void inbox?.drain();
    this.#surroundings.lost(reason);
  }
}
