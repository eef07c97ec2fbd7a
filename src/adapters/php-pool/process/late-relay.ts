import type { Frame } from "../../goridge/frame.ts";
import type { Relay, RelayListener } from "../relay.ts";

/** The relay of a worker that will connect by itself: until then nothing is sent and nothing comes. */
export class LateRelay implements Relay {
  #relay: Relay | undefined;
  #listener: RelayListener | undefined;
  #closed = false;

  get bufferedBytes(): number {
    return this.#relay?.bufferedBytes ?? 0;
  }

  listen(listener: RelayListener): void {
    this.#listener = listener;
    this.#relay?.listen(listener);
  }

  send(head: Uint8Array, rest?: Uint8Array): void {
    this.#relay?.send(head, rest);
  }

  strayText(): string {
    return this.#relay?.strayText() ?? "";
  }

  close(): void {
    this.#closed = true;
    this.#relay?.close();
  }

  /** The worker has connected. @param answer with which it told who it is, the answer to the pid request */
  connect(relay: Relay, answer: Frame): void {
    if (this.#closed || this.#listener === undefined || this.#relay !== undefined) {
      relay.close();
      return;
    }
    this.#relay = relay;
    relay.listen(this.#listener);
    this.#listener.frame(answer);
  }

  /** The process has ended: one that has not connected by now will not. */
  processEnded(): void {
    if (this.#relay === undefined) this.#listener?.ended();
  }
}
