import type { Subscription } from "./consumer-options.ts";
import { KafkaFault, type KafkaAdmin } from "./kafka-session.ts";

/** How often topics that do not exist yet are looked for. */
const MISSING_REFRESH_MS = 2000;

/**
 * The topics a subscription means now. Patterns are matched against all topics but internal ones; of topics that are
 * named, those that do not exist are left out, since the client would consume none of them, and looked for again.
 */
export class TopicSelection {
  readonly #subscription: Subscription;
  readonly #autoCreate: boolean;
  readonly #admin: () => KafkaAdmin;
  /** What the last answer was. */
  #selected: readonly string[] = [];
  #someMissing = false;

  constructor(subscription: Subscription, autoCreate: boolean, admin: () => KafkaAdmin) {
    this.#subscription = subscription;
    this.#autoCreate = autoCreate;
    this.#admin = admin;
  }

  /** As Stat shows it. */
  static describe(subscription: Subscription): string {
    switch (subscription.t) {
      case "topics":
        return subscription.topics.join(",");
      case "patterns":
        return subscription.written.join(",");
      case "partitions":
        return [...subscription.partitions.keys()].sort().join(",");
    }
  }

  /** @throws {KafkaFault} the cluster did not answer, or there is no topic yet */
  async current(): Promise<readonly string[]> {
    const selected = await this.#select();
    if (selected.length === 0) {
      throw new KafkaFault("unknown_topic", "UNKNOWN_TOPIC_OR_PARTITION", new Error("no topic to consume exists yet"));
    }
    this.#selected = selected;
    return selected;
  }

  /** The client said that one of the topics does not exist: from now on it is asked which do. */
  missing(): void {
    this.#someMissing = true;
  }

  /** How often `changed` should be asked. */
  refreshMs(metadataMaxAgeMs: number): number {
    return this.#someMissing ? Math.min(MISSING_REFRESH_MS, metadataMaxAgeMs) : metadataMaxAgeMs;
  }

  /** Whether other topics are meant by now. Never rejects. */
  async changed(): Promise<boolean> {
    if (this.#subscription.t !== "patterns" && !this.#someMissing) return false;
    try {
      const selected = await this.#select();
      return selected.length !== this.#selected.length || selected.some((topic) => !this.#selected.includes(topic));
    } catch {
      return false;
    }
  }

  async #select(): Promise<readonly string[]> {
    const subscription = this.#subscription;
    if (subscription.t === "patterns") {
      const names = await this.#admin().topicNames();
      const { patterns } = subscription;
      return names.filter((name) => !name.startsWith("__") && patterns.some((pattern) => pattern.test(name))).sort();
    }
    const named = subscription.t === "topics" ? subscription.topics : [...subscription.partitions.keys()];
    if (!this.#someMissing || this.#autoCreate) return named;
    const names = new Set(await this.#admin().topicNames());
    const existing = named.filter((name) => names.has(name));
    this.#someMissing = existing.length < named.length;
    return existing;
  }
}
