import type { Clock, Timer } from "../../domain/ports/clock.ts";
import type { KafkaAdmin, KafkaClients } from "./kafka-session.ts";

/** Questions come seldom: a connection nobody uses for so long is closed. */
const IDLE_MS = 30_000;

/** One connection for questions to the cluster: opened when it is needed, anew after a failure, closed when idle. */
export class AdminHolder {
  readonly #clients: KafkaClients;
  readonly #clock: Clock;
  #admin: KafkaAdmin | undefined;
  #timer: Timer | undefined;
  #underway = 0;

  constructor(clients: KafkaClients, clock: Clock) {
    this.#clients = clients;
    this.#clock = clock;
  }

  /** Each question ends by itself: the connection it used is not closed before. */
  readonly get = (): KafkaAdmin => ({
    ping: () => this.#ask((admin) => admin.ping()),
    topicNames: () => this.#ask((admin) => admin.topicNames()),
    bounds: (topic) => this.#ask((admin) => admin.bounds(topic)),
    offsetsAfter: (topic, timeMs) => this.#ask((admin) => admin.offsetsAfter(topic, timeMs)),
    committed: (groupId, topics) => this.#ask((admin) => admin.committed(groupId, topics)),
    close: () => this.close(),
    destroy: () => {
      this.#admin?.destroy();
    },
  });

  async close(): Promise<void> {
    this.#timer?.cancel();
    const admin = this.#admin;
    this.#admin = undefined;
    admin?.destroy();
    await admin?.close();
  }

  async #ask<T>(question: (admin: KafkaAdmin) => Promise<T>): Promise<T> {
    this.#timer?.cancel();
    const admin = (this.#admin ??= this.#clients.admin());
    this.#underway += 1;
    try {
      return await question(admin);
    } catch (error) {
      if (this.#admin === admin) this.#admin = undefined;
      admin.destroy();
      throw error;
    } finally {
      this.#underway -= 1;
      if (this.#underway === 0 && this.#admin !== undefined) {
        this.#timer = this.#clock.startTimer(IDLE_MS, () => void this.close());
      }
    }
  }
}
