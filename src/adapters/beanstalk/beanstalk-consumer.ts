import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { Clock, Timer } from "../../domain/ports/clock.ts";
import { type DeliverySink, LINK_READY, type LinkState } from "../../domain/ports/driver.ts";
import type { OpenSession, Session } from "../shared/link.ts";
import { type LinkServices, ReconnectingLink } from "../shared/reconnecting-link.ts";
import type { DeliveryServices } from "./beanstalk-delivery.ts";
import { BeanstalkIntake } from "./beanstalk-intake.ts";
import type { BeanstalkCodec } from "./beanstalk-message.ts";
import type { BeanstalkOptions } from "./beanstalk-options.ts";
import type { BeanstalkFailure, BeanstalkSession } from "./beanstalk-session.ts";
import { BeanstalkSlot, type HeldJob, type SlotOwner } from "./beanstalk-slot.ts";

/** How often held jobs are looked at. */
const KEEP_EVERY_MS = 250;

/** A connection that found no job for so long is closed, unless it is the last one. */
const IDLE_LIMIT_MS = 60_000;

/** Wait after a further connection could not be opened. */
const GROW_AGAIN_MS = 1_000;

/** What a consumer is made of. */
export interface ConsumerOptions {
  readonly pipeline: string;
  /** Given to jobs without one. */
  readonly priority: number;
  readonly countsDeliveries: boolean;
  readonly options: BeanstalkOptions;
  readonly open: OpenSession<BeanstalkSession>;
  /** Limit of one try to connect; also the time without a connection after which the link is degraded. */
  readonly openTimeoutMs: number;
}

/** What it needs of its surroundings. */
export interface ConsumerServices extends LinkServices {
  readonly sink: DeliverySink;
  readonly codec: BeanstalkCodec;
  readonly deliveries: DeliveryServices;
  /** A lost connection is there again. */
  readonly redialed: () => void;
}

/**
 * Takes jobs out of a tube with as many connections as there is credit, each of which has one job at most. The first
 * one is opened again whenever it is lost; further ones come when there are jobs and go when there are none.
 */
export class BeanstalkConsumer implements SlotOwner {
  readonly clock: Clock;
  readonly reserveTimeoutSec: number;
  readonly #options: ConsumerOptions;
  readonly #services: ConsumerServices;
  readonly #intake: BeanstalkIntake;
  readonly #slots = new Set<BeanstalkSlot>();
  /** Neither have a job nor wait for one. */
  #free: BeanstalkSlot[] = [];
  /** Keeps the first connection; `undefined` while paused. */
  #listener: ReconnectingLink<Session> | undefined;
  #first: BeanstalkSlot | undefined;
  #reserving = 0;
  /** Deletes that are not answered: each of them gives credit back. */
  #deleting = 0;
  #opening = 0;
  /** Connections that may be opened, since there were jobs for those there are. */
  #appetite = 0;
  #mayGrowAtMs = 0;
  #keeper: Timer | undefined;

  constructor(options: ConsumerOptions, services: ConsumerServices) {
    this.clock = services.clock;
    this.reserveTimeoutSec = options.options.reserveTimeoutSec;
    this.#options = options;
    this.#services = services;
    this.#intake = new BeanstalkIntake({
      ...services,
      priority: options.priority,
      countsDeliveries: options.countsDeliveries,
      held: () => {
        this.#keep();
      },
    });
  }

  /** `ready` while it is not to consume. */
  get link(): LinkState {
    return this.#listener === undefined || this.#slots.size > 0 ? LINK_READY : this.#listener.state;
  }

  get consuming(): boolean {
    return this.#listener !== undefined;
  }

  /** @throws {DriverUnavailableError} not connected in time; it goes on trying */
  async resume(signal: CancelSignal): Promise<void> {
    if (this.#listener === undefined) {
      for (const slot of this.#slots) slot.retired = false;
      this.#listener = this.#newListener();
    }
    await this.#listener.up(signal);
  }

  /** Nothing is reserved any more; connections without a job end now, the others with their job. */
  async pause(signal: CancelSignal): Promise<void> {
    const listener = this.#listener;
    const { pipeline, options } = this.#options;
    if (listener !== undefined)
      this.#services.log.debug({ pipeline, tube: options.tube }, "beanstalk listener stopped");
    this.#listener = undefined;
    this.#first = undefined;
    this.#appetite = 0;
    this.#free = [];
    for (const delivery of [...this.#services.deliveries.stale.open]) delivery.abandon();
    // It ends with the job its connection has, for which nobody waits here.
    void listener?.close(signal);
    const ends: Promise<unknown>[] = [];
    for (const slot of this.#slots) {
      if (slot.held === undefined) ends.push(slot.session.ended);
      slot.retire();
    }
    await withinSignal(Promise.all(ends), signal);
  }

  /** What is held goes back to the server. */
  async close(signal: CancelSignal): Promise<void> {
    const paused = this.pause(signal);
    this.#keeper?.cancel();
    const ends = [...this.#slots].map((slot) => {
      slot.end();
      return slot.session.ended;
    });
    await paused;
    await withinSignal(Promise.all(ends), signal);
  }

  /** Reserves as many jobs as there is credit for. */
  pump(): void {
    if (this.#listener === undefined) return;
    let room = this.#room();
    while (room > 0) {
      const slot = this.#free.pop();
      if (slot === undefined) break;
      if (slot.session.closed || slot.retired) continue;
      this.#reserving += 1;
      slot.reserve();
      room -= 1;
    }
    for (; room > 0 && this.#mayGrow(); room--) {
      this.#appetite -= 1;
      void this.#grow();
    }
  }

  reserveEnded(): void {
    this.#reserving -= 1;
  }

  reserved(slot: BeanstalkSlot, id: string, body: Buffer): void {
    if (this.#listener === undefined || slot.retired || slot.session.closed) {
      slot.end();
      return;
    }
    this.#appetite = Math.min(this.#appetite + 1, this.#options.options.prefetch);
    this.#intake.take(slot, id, body);
    if (this.#slots.size + this.#opening < this.#options.options.prefetch) this.pump();
  }

  idle(slot: BeanstalkSlot): void {
    this.#appetite = 0;
    const isOld = this.clock.elapsedMs() - slot.idleSinceMs > IDLE_LIMIT_MS;
    if (isOld && slot !== this.#first) slot.retire();
    else this.freed(slot);
  }

  freed(slot: BeanstalkSlot): void {
    if (this.#listener === undefined || slot.retired) {
      slot.retire();
      return;
    }
    this.#free.push(slot);
    this.pump();
  }

  deleting(): boolean {
    this.#deleting += 1;
    if (this.#listener === undefined || this.#room() <= 0) return false;
    this.#reserving += 1;
    return true;
  }

  deleted(): void {
    this.#deleting -= 1;
  }

  leaseLost(held: HeldJob): void {
    this.#services.deliveries.leaseLost();
    held.detach();
  }

  trouble(step: string, failure: BeanstalkFailure): void {
    const { pipeline, options } = this.#options;
    const fields = { pipeline, tube: options.tube, step, reason: failure.message };
    this.#services.log.warn(fields, "the server refused a command of the consumer");
  }

  /** How many more jobs may be on their way. */
  #room(): number {
    return this.#services.sink.credit + this.#deleting - this.#reserving - this.#opening;
  }

  #mayGrow(): boolean {
    return (
      this.#appetite > 0 &&
      this.#slots.size + this.#opening < this.#options.options.prefetch &&
      this.clock.elapsedMs() >= this.#mayGrowAtMs
    );
  }

  /** One more connection. Never rejects. */
  async #grow(): Promise<void> {
    const { openTimeoutMs, options, pipeline } = this.#options;
    this.#opening += 1;
    const limit = new AbortController();
    const timer = this.clock.startTimer(openTimeoutMs, () => {
      limit.abort(new Error(`no connection within ${openTimeoutMs / 1000}s`));
    });
    try {
      const session = await this.#openWatching(limit.signal);
      this.#opening -= 1;
      if (this.#listener === undefined) session.destroy();
      else this.freed(this.#add(session));
    } catch (error) {
      this.#opening -= 1;
      this.#mayGrowAtMs = this.clock.elapsedMs() + GROW_AGAIN_MS;
      const fields = { pipeline, tube: options.tube, err: error };
      this.#services.log.debug(fields, "a further connection could not be opened");
    } finally {
      timer.cancel();
    }
  }

  /** @throws the connection failed; nothing is left open then */
  async #openWatching(signal: CancelSignal): Promise<BeanstalkSession> {
    const session = await this.#options.open(signal);
    try {
      await session.watchOnly(this.#options.options.tube);
      return session;
    } catch (error) {
      session.destroy(error);
      throw error;
    }
  }

  /** A connection that watches the tube becomes a slot. */
  #add(session: BeanstalkSession): BeanstalkSlot {
    const slot = new BeanstalkSlot(session, this);
    this.#slots.add(slot);
    void session.ended.then(() => {
      this.#slots.delete(slot);
      this.#free = this.#free.filter((free) => free !== slot);
      slot.lost();
      this.pump();
    });
    return slot;
  }

  #newListener(): ReconnectingLink<Session> {
    const { pipeline, openTimeoutMs } = this.#options;
    const { clock, random, log, redialed } = this.#services;
    const open = async (signal: CancelSignal): Promise<Session> => {
      const session = await this.#openWatching(signal);
      if (this.#listener !== link) {
        session.destroy();
        return session;
      }
      const slot = this.#add(session);
      this.#first = slot;
      this.freed(slot);
      // The end of the link is no reason to take the connection of a running job away.
      const close = (): Promise<void> => {
        slot.retire();
        return Promise.resolve();
      };
      return { ended: session.ended, close };
    };
    const link = new ReconnectingLink<Session>(
      { driver: "beanstalk", pipeline, open, openTimeoutMs, redialTimeoutMs: openTimeoutMs, redialed },
      { clock, random, log },
    );
    return link;
  }

  /** Looks at held jobs from now on, while there are any. */
  #keep(): void {
    this.#keeper ??= this.clock.startTimer(KEEP_EVERY_MS, () => {
      this.#keeper = undefined;
      const nowMs = this.clock.elapsedMs();
      let held = false;
      for (const slot of this.#slots) {
        slot.keep(nowMs);
        held ||= slot.held !== undefined;
      }
      if (held) this.#keep();
    });
  }
}

/** Resolves when the work does, or when the signal fires. */
export function withinSignal(work: Promise<unknown>, signal: CancelSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      signal.removeEventListener("abort", end);
      resolve();
    };
    if (signal.aborted) end();
    else {
      signal.addEventListener("abort", end, { once: true });
      void work.then(end, end);
    }
  });
}
