import { SqsFault } from "../../src/adapters/sqs/sqs-fault.ts";
import type {
  EntryFaults,
  IncomingMessage,
  OutgoingMessage,
  ReceiveRequest,
  SqsSession,
  VisibilityChange,
} from "../../src/adapters/sqs/sqs-session.ts";
import type { CancelSignal } from "../../src/domain/cancel-signal.ts";
import type { Clock } from "../../src/domain/ports/clock.ts";

interface Stored {
  readonly id: string;
  readonly message: OutgoingMessage;
  readonly sentAtMs: number;
  visibleAtMs: number;
  receipt: number;
}

/** A standard queue in memory, on a clock the test moves: delays, visibility and receive counts are kept exactly. */
export class FakeSqsSession implements SqsSession {
  readonly calls: string[] = [];
  /** What every receive fails with, for as long as it is set. */
  receiveFault: SqsFault | undefined;
  readonly #clock: Clock;
  readonly #stored = new Map<string, Stored>();
  #ids = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Messages in the queue, whatever their state. */
  get size(): number {
    return this.#stored.size;
  }

  /** Messages somebody has received and not settled. */
  get invisible(): number {
    const nowMs = this.#clock.nowMs();
    return [...this.#stored.values()].filter(({ receipt, visibleAtMs }) => receipt > 0 && visibleAtMs > nowMs).length;
  }

  countOf(call: string): number {
    return this.calls.filter((name) => name === call).length;
  }

  createQueue(name: string): Promise<string> {
    return Promise.resolve(`http://fake/${name}`);
  }

  queueUrl(name: string): Promise<string> {
    return Promise.resolve(`http://fake/${name}`);
  }

  queueAttributes(): Promise<Readonly<Record<string, string>>> {
    return Promise.resolve({ VisibilityTimeout: "30", MessageRetentionPeriod: "1209600" });
  }

  send(_url: string, message: OutgoingMessage): Promise<void> {
    this.calls.push("send");
    this.#ids += 1;
    const nowMs = this.#clock.nowMs();
    const visibleAtMs = nowMs + (message.delaySec ?? 0) * 1000;
    const id = `m${this.#ids}`;
    this.#stored.set(id, { id, message, sentAtMs: nowMs, visibleAtMs, receipt: 0 });
    return Promise.resolve();
  }

  async sendBatch(url: string, messages: readonly OutgoingMessage[]): Promise<EntryFaults> {
    for (const message of messages) await this.send(url, message);
    return new Map();
  }

  receive(request: ReceiveRequest, signal: CancelSignal): Promise<readonly IncomingMessage[]> {
    this.calls.push("receive");
    if (this.receiveFault !== undefined) return Promise.reject(this.receiveFault);
    const found = this.#take(request);
    if (found.length > 0) return Promise.resolve(found);
    return new Promise((resolve, reject) => {
      // Looks once a second, which is precise enough for delays in seconds.
      const untilMs = this.#clock.nowMs() + request.waitSec * 1000;
      const look = (): void => {
        const messages = this.#take(request);
        if (signal.aborted) reject(new SqsFault("aborted", "AbortError", ""));
        else if (messages.length > 0 || this.#clock.nowMs() >= untilMs) resolve(messages);
        else this.#clock.startTimer(1000, look);
      };
      this.#clock.startTimer(1000, look);
    });
  }

  deleteBatch(_url: string, handles: readonly string[]): Promise<EntryFaults> {
    this.calls.push("delete");
    return Promise.resolve(
      this.#each(handles, (stored) => {
        this.#stored.delete(stored.id);
      }),
    );
  }

  changeVisibilityBatch(_url: string, changes: readonly VisibilityChange[]): Promise<EntryFaults> {
    this.calls.push("visibility");
    const handles = changes.map(({ receiptHandle }) => receiptHandle);
    return Promise.resolve(
      this.#each(handles, (stored, index) => {
        stored.visibleAtMs = this.#clock.nowMs() + (changes[index]?.visibilitySec ?? 0) * 1000;
      }),
    );
  }

  destroy(): void {
    this.calls.push("destroy");
  }

  #take({ maxMessages, visibilitySec }: ReceiveRequest): readonly IncomingMessage[] {
    const nowMs = this.#clock.nowMs();
    const visible = [...this.#stored.values()].filter(({ visibleAtMs }) => visibleAtMs <= nowMs).slice(0, maxMessages);
    return visible.map((stored) => {
      stored.receipt += 1;
      stored.visibleAtMs = nowMs + (visibilitySec || 30) * 1000;
      return {
        messageId: stored.id,
        receiptHandle: `${stored.id}/${stored.receipt}`,
        body: stored.message.body,
        attributes: stored.message.attributes,
        systemAttributes: {
          ApproximateReceiveCount: stored.receipt.toString(),
          SentTimestamp: stored.sentAtMs.toString(),
        },
      };
    });
  }

  /** Only the newest receipt counts, and only while the message is invisible. */
  #each(handles: readonly string[], act: (stored: Stored, index: number) => void): EntryFaults {
    const faults = new Map<number, SqsFault>();
    for (const [index, handle] of handles.entries()) {
      const [id = "", receipt] = handle.split("/");
      const stored = this.#stored.get(id);
      const valid = stored?.receipt === Number(receipt);
      if (valid && stored.visibleAtMs > this.#clock.nowMs()) act(stored, index);
      else faults.set(index, new SqsFault("stale", "ReceiptHandleIsInvalid", ""));
    }
    return faults;
  }
}
