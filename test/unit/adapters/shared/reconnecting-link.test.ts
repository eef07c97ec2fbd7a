import { describe, expect, test } from "@jest/globals";
import type { Session } from "../../../../src/adapters/shared/link.ts";
import { ReconnectingLink } from "../../../../src/adapters/shared/reconnecting-link.ts";
import type { CancelSignal } from "../../../../src/domain/cancel-signal.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../../../src/testing/fake-logger.ts";
import { FakeRandom } from "../../../../src/testing/fake-random.ts";

const NEVER = new AbortController().signal;

class FakeSession implements Session {
  readonly ended: Promise<unknown>;
  closes = 0;
  end!: (reason?: unknown) => void;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.end = resolve;
    });
  }

  close(): Promise<void> {
    this.closes += 1;
    this.end();
    return Promise.resolve();
  }
}

/** A link whose connections the test answers one by one. */
class LinkWorld {
  readonly clock = new FakeClock();
  readonly log = new FakeLogger();
  readonly sessions: FakeSession[] = [];
  /** Answers to the next tries; once it is empty they succeed. */
  readonly failures: unknown[] = [];
  tries = 0;
  redials = 0;
  hang = false;
  readonly link: ReconnectingLink<FakeSession>;

  constructor() {
    this.link = new ReconnectingLink<FakeSession>(
      {
        driver: "fake",
        pipeline: "mails",
        open: (signal) => this.#open(signal),
        openTimeoutMs: 10_000,
        redialTimeoutMs: 60_000,
        redialed: () => (this.redials += 1),
      },
      { clock: this.clock, random: new FakeRandom(), log: this.log },
    );
  }

  /** Lets everything happen that needs no time. */
  async turn(): Promise<void> {
    for (let index = 0; index < 20; index++) await Promise.resolve();
  }

  async pass(ms: number): Promise<void> {
    await this.turn();
    this.clock.advance(ms);
    await this.turn();
  }

  async #open(signal: CancelSignal): Promise<FakeSession> {
    this.tries += 1;
    if (this.hang) {
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => {
          reject(signal.reason instanceof Error ? signal.reason : new Error());
        });
      });
    }
    if (this.failures.length > 0) throw this.failures.shift();
    const session = new FakeSession();
    this.sessions.push(session);
    return Promise.resolve(session);
  }
}

describe("ReconnectingLink", () => {
  test("is ready with its first session, which everybody who waits gets", async () => {
    const world = new LinkWorld();

    const waiting = [world.link.up(NEVER), world.link.up(NEVER)];

    const sessions = await Promise.all(waiting);
    expect(sessions).toEqual([world.sessions[0], world.sessions[0]]);
    expect(world.link.state).toEqual({ t: "ready" });
    expect(world.redials).toBe(0);
  });

  test("goes on trying with growing waits, and says why it is not connected", async () => {
    const world = new LinkWorld();
    world.failures.push(...Array.from({ length: 8 }, () => new Error("connect ECONNREFUSED")));

    world.link.start();
    await world.turn();
    const first = world.link.state;
    for (let seconds = 0; seconds < 90 && world.sessions.length === 0; seconds++) await world.pass(1000);

    expect(first).toMatchObject({ t: "degraded", reason: "connect ECONNREFUSED" });
    expect(world.tries).toBe(9);
    expect(world.link.state.t).toBe("ready");
  });

  test("is degraded when a lost session is not back after the redial timeout, and ready when it is", async () => {
    const world = new LinkWorld();
    await world.link.up(NEVER);
    world.failures.push(...Array.from({ length: 60 }, () => new Error("refused")));

    world.sessions[0]?.end(new Error("reset"));
    const lostAtMs = world.clock.nowMs();
    for (let seconds = 0; seconds < 59; seconds++) await world.pass(1000);
    const patient = world.link.state;
    for (let seconds = 0; seconds < 2; seconds++) await world.pass(1000);
    const late = world.link.state;
    world.failures.length = 0;
    for (let seconds = 0; seconds < 20; seconds++) await world.pass(1000);

    expect(patient).toMatchObject({ t: "connecting", reason: "refused" });
    expect(late).toEqual({ t: "degraded", reason: "refused", sinceMs: lostAtMs });
    expect(world.link.state).toEqual({ t: "ready" });
  });

  test("opens and prepares another session when one ends, and counts that", async () => {
    const world = new LinkWorld();
    const prepared: FakeSession[] = [];
    world.link.onUp((session) => Promise.resolve(void prepared.push(session)));
    await world.link.up(NEVER);

    world.sessions[0]?.end(new Error("reset by peer"));
    await world.turn();
    const lost = world.link.state;
    const hadSession = world.link.session;
    await world.pass(1000);

    expect(lost).toEqual({ t: "connecting", attempt: 0, reason: "reset by peer" });
    expect(hadSession).toBeUndefined();
    expect(world.link.session).toBe(world.sessions[1]);
    expect(prepared).toEqual(world.sessions);
    expect(world.redials).toBe(1);
  });

  test("closes a session that can not be prepared, also one whose preparation hangs", async () => {
    const world = new LinkWorld();
    let calls = 0;
    world.link.onUp(() => {
      calls += 1;
      if (calls === 1) return Promise.reject(new Error("no such queue"));
      return calls === 2 ? new Promise(() => undefined) : Promise.resolve();
    });

    world.link.start();
    await world.pass(1000);
    await world.pass(10_001);
    await world.pass(5000);

    expect(world.sessions.map((session) => session.closes)).toEqual([1, 1, 0]);
    expect(world.link.session).toBe(world.sessions[2]);
  });

  test("gives up a try that hangs after its timeout", async () => {
    const world = new LinkWorld();
    world.hang = true;

    world.link.start();
    await world.pass(10_000);

    expect(world.link.state).toMatchObject({ t: "degraded", reason: "no connection within 10s" });
  });

  test("lets nobody wait longer than their signal", async () => {
    const world = new LinkWorld();
    world.hang = true;
    const controller = new AbortController();

    const waiting = world.link.up(controller.signal);
    controller.abort();

    await expect(waiting).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE", retryable: true });
  });

  test.each(["while it connects", "between tries", "with a session"])("ends when it is closed %s", async (when) => {
    const world = new LinkWorld();
    world.hang = when === "while it connects";
    if (when === "between tries") world.failures.push(new Error("refused"));
    const waiting = world.link.up(NEVER).catch((error: unknown) => error);
    await world.turn();

    await world.link.close(NEVER);
    await world.link.close(NEVER);
    await world.pass(60_000);

    expect(world.link.state).toEqual({ t: "closed" });
    expect(world.tries).toBe(1);
    expect(world.sessions.every((session) => session.closes === 1)).toBe(true);
    if (when !== "with a session") expect(await waiting).toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });
    await expect(world.link.up(NEVER)).rejects.toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE" });
  });
});
