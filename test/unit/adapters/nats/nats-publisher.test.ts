import { describe, expect, test } from "@jest/globals";
import type { NatsConnection, ReplyHandler } from "../../../../src/adapters/nats/nats-connection.ts";
import { ConnectionLostError, NoAnswerError, NoRespondersError } from "../../../../src/adapters/nats/nats-errors.ts";
import { MAX_OUTSTANDING, NatsPublisher, type PublishOwner } from "../../../../src/adapters/nats/nats-publisher.ts";
import type { JobsError } from "../../../../src/domain/errors.ts";
import { FakeClock } from "../../../../src/testing/fake-clock.ts";

/** A connection that keeps requests until the test answers. */
class ScriptedConnection {
  readonly maxPayloadBytes = 1000;
  readonly requests: { readonly body: string; readonly handler: ReplyHandler }[] = [];

  request(_subject: string, data: Uint8Array, _headers: unknown, _timeoutMs: number, handler: ReplyHandler): void {
    this.requests.push({ body: Buffer.from(data).toString(), handler });
  }

  handler(index: number): ReplyHandler {
    const request = this.requests[index];
    if (request === undefined) throw new Error(`only ${this.requests.length} requests were written`);
    return request.handler;
  }

  confirm(index: number, answer = '{"stream":"s","seq":1}'): void {
    this.handler(index).replied(Buffer.from(answer));
  }
}

class Outcomes implements PublishOwner {
  readonly lines: string[] = [];

  published(index: number, duplicate: boolean): void {
    this.lines.push(`${index} stored${duplicate ? " duplicate" : ""}`);
  }

  notPublished(index: number, error: JobsError, unknown: boolean): void {
    this.lines.push(`${index} ${error.code}${unknown ? " unknown" : ""}`);
  }
}

class World {
  readonly clock = new FakeClock();
  readonly connection = new ScriptedConnection();
  readonly outcomes = new Outcomes();
  connected = true;
  missing = 0;
  readonly publisher = new NatsPublisher({
    clock: this.clock,
    connection: () => (this.connected ? (this.connection as unknown as NatsConnection) : undefined),
    streamMissing: () => (this.missing += 1),
    reason: () => "cut",
  });

  publish(index: number, timeoutMs = 5000, body = `m${index}`): void {
    this.publisher.publish({ subject: "s", data: Buffer.from(body), headers: [] }, timeoutMs, this.outcomes, index);
  }
}

describe("NatsPublisher", () => {
  test("keeps the order, and no more than a bounded number of messages unconfirmed", () => {
    const world = new World();
    for (let n = 0; n < MAX_OUTSTANDING + 2; n++) world.publish(n);
    expect(world.connection.requests).toHaveLength(MAX_OUTSTANDING);

    world.connection.confirm(0);
    world.connection.confirm(1);

    expect(world.connection.requests.map(({ body }) => body)).toEqual(
      Array.from({ length: MAX_OUTSTANDING + 2 }, (_value, n) => `m${n}`),
    );
    expect(world.outcomes.lines).toEqual(["0 stored", "1 stored"]);
    expect(world.publisher.pending).toBe(MAX_OUTSTANDING);
  });

  test("waits for a connection, and gives up in time what was never written", () => {
    const world = new World();
    world.connected = false;
    world.publish(0, 1000);
    world.publish(1, 60_000);
    world.clock.advance(1500);
    expect(world.outcomes.lines).toEqual(["0 JOBS_DRIVER_UNAVAILABLE"]);

    world.connected = true;
    world.publisher.pump();

    world.connection.confirm(0);
    expect(world.outcomes.lines[1]).toBe("1 stored");
  });

  test("never writes again what was written, and says that its fate is unknown", () => {
    const world = new World();
    world.publish(0);
    world.publish(1);

    world.connection.handler(0).failed(new NoAnswerError("s"));
    world.connection.handler(1).failed(new ConnectionLostError());

    expect(world.outcomes.lines).toEqual(["0 JOBS_DEADLINE_EXCEEDED unknown", "1 JOBS_DRIVER_UNAVAILABLE unknown"]);
    expect(world.connection.requests).toHaveLength(2);
  });

  test("offers a message again that no stream wanted, has the stream looked after, and gives up at the deadline", () => {
    const world = new World();
    world.publish(0, 1000);

    world.connection.handler(0).failed(new NoRespondersError("s"));
    expect([world.missing, world.outcomes.lines]).toEqual([1, []]);
    world.clock.advance(250);
    world.connection.handler(1).failed(new NoRespondersError("s"));
    world.clock.advance(500);
    world.connection.handler(2).failed(new NoRespondersError("s"));

    expect(world.outcomes.lines).toEqual(["0 JOBS_DRIVER_UNAVAILABLE"]);
  });

  test("tells a duplicate, a full stream, a refusal and an answer that is none apart", () => {
    const world = new World();
    for (let n = 0; n < 4; n++) world.publish(n);

    world.connection.confirm(0, '{"stream":"s","seq":1,"duplicate":true}');
    world.connection.confirm(1, '{"error":{"code":503,"err_code":10077,"description":"maximum messages exceeded"}}');
    world.connection.confirm(2, '{"error":{"code":400,"err_code":10071,"description":"wrong last sequence"}}');
    world.connection.confirm(3, "hello");

    expect(world.outcomes.lines).toEqual([
      "0 stored duplicate",
      "1 JOBS_PIPELINE_FULL",
      "2 JOBS_DRIVER_UNAVAILABLE",
      "3 JOBS_DRIVER_UNAVAILABLE",
    ]);
  });

  test("refuses what is larger than the server takes without writing it", () => {
    const world = new World();

    world.publish(0, 5000, "x".repeat(1001));
    world.publish(1);

    expect(world.outcomes.lines).toEqual(["0 JOBS_JOB_INVALID"]);
    expect(world.connection.requests.map(({ body }) => body)).toEqual(["m1"]);
  });

  test("closed, it gives up what waits, and takes nothing more", () => {
    const world = new World();
    world.publish(0);
    world.connection.handler(0).failed(new NoRespondersError("s"));
    world.connected = false;
    world.publish(1);

    world.publisher.close();
    world.publish(2);

    expect([...world.outcomes.lines].sort()).toEqual([
      "0 JOBS_PIPELINE_STATE",
      "1 JOBS_PIPELINE_STATE",
      "2 JOBS_PIPELINE_STATE",
    ]);
    expect(world.clock.pendingTimers).toBe(0);
  });
});
