import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { Delivery } from "../../src/domain/delivery.ts";
import type { Flow } from "../../src/domain/flow.ts";
import { toHeaders } from "../../src/domain/job-headers.ts";
import { Scheduler, type Ticket } from "../../src/domain/scheduler.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { aDelivery, aFlowSpec, IdleDriver } from "../support/flows.ts";

const POOLS = ["default", "other"];
const HELD_LIMIT = 30;
const PRIORITY = 10;

interface PipelineOfTest {
  readonly concurrency: number;
  readonly prefetch: number;
  readonly fetchAhead: number;
  readonly storage: "broker" | "local";
  /** Whether the driver fetches from inside `creditAvailable`. */
  readonly eager: boolean;
}

const PIPELINES: readonly PipelineOfTest[] = [
  { concurrency: 0, prefetch: 12, fetchAhead: 5, storage: "broker", eager: false },
  { concurrency: 2, prefetch: 1000, fetchAhead: 10, storage: "broker", eager: true },
  { concurrency: 0, prefetch: 1000, fetchAhead: 100, storage: "broker", eager: false },
  { concurrency: 3, prefetch: 4, fetchAhead: 0, storage: "local", eager: false },
];

type Operation =
  | { readonly t: "deliver"; readonly pipeline: number; readonly count: number; readonly pool: string }
  | { readonly t: "take"; readonly pool: string }
  | { readonly t: "finished" | "settled" | "put back"; readonly which: number }
  | { readonly t: "open" | "close" | "withdraw" | "on idle"; readonly pipeline: number };

const pipeline = fc.nat(PIPELINES.length - 1);
const which = fc.nat();
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      t: fc.constant("deliver" as const),
      pipeline,
      count: fc.integer({ min: 1, max: 8 }),
      pool: fc.constantFrom(...POOLS),
    }),
  },
  { weight: 10, arbitrary: fc.record({ t: fc.constant("take" as const), pool: fc.constantFrom(...POOLS) }) },
  { weight: 6, arbitrary: fc.record({ t: fc.constant("finished" as const), which }) },
  { weight: 6, arbitrary: fc.record({ t: fc.constant("settled" as const), which }) },
  { weight: 2, arbitrary: fc.record({ t: fc.constant("put back" as const), which }) },
  { weight: 3, arbitrary: fc.record({ t: fc.constant("open" as const), pipeline }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("close" as const), pipeline }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("withdraw" as const), pipeline }) },
  { weight: 1, arbitrary: fc.record({ t: fc.constant("on idle" as const), pipeline }) },
);

interface Job {
  readonly delivery: Delivery;
  readonly pool: string;
  readonly number: number;
}

/** One pipeline as the test sees it, counted apart from the scheduler. */
class Model {
  readonly spec: PipelineOfTest;
  readonly flow: Flow;
  open = false;
  waiting: Job[] = [];
  running = 0;
  settling = 0;
  idleCalls: { expected: number; seen: number }[] = [];

  constructor(spec: PipelineOfTest, flow: Flow) {
    this.spec = spec;
    this.flow = flow;
  }

  get held(): number {
    return this.spec.storage === "local" ? 0 : this.waiting.length + this.running + this.settling;
  }

  get mayRun(): boolean {
    const { concurrency, prefetch } = this.spec;
    if (concurrency > 0 && this.running >= concurrency) return false;
    return this.open && this.running + this.settling < prefetch;
  }
}

/** As `expect`, but cheap enough to be asked a hundred thousand times. */
function ensure(condition: boolean, complaint: string): void {
  if (!condition) throw new Error(complaint);
}

class World {
  readonly scheduler = new Scheduler(
    POOLS.map((name) => ({ name, size: 2 })),
    { order: "fair", maxWaitMs: 0, heldLimit: HELD_LIMIT },
    new FakeClock(),
  );
  readonly models: Model[];
  readonly running: { ticket: Ticket; job: Job; model: Model }[] = [];
  readonly settling: { ticket: Ticket; model: Model }[] = [];
  readonly #announced = new Set<string>();
  /** Jobs that left for good: settled or withdrawn. */
  gone = 0;
  delivered = 0;

  constructor() {
    this.scheduler.onEvents({ workAvailable: (pool) => this.#announced.add(pool), prefetchReached: () => undefined });
    this.models = PIPELINES.map((spec, index) => {
      const flow = this.scheduler.addFlow(aFlowSpec({ ...spec, pipeline: `p${index}` }));
      const model = new Model(spec, flow);
      const driver = new IdleDriver({ storage: spec.storage, prefetch: spec.prefetch });
      if (spec.eager) {
        driver.onWakeUp = () => {
          this.#deliver(model, 100, "default");
        };
      }
      flow.attach(driver);
      return model;
    });
  }

  run(step: Operation): void {
    const before = POOLS.filter((pool) => this.takeable(pool).length > 0);
    this.#announced.clear();
    this.#perform(step);
    for (const pool of POOLS) {
      const isNew = this.takeable(pool).length > 0 && !before.includes(pool);
      if (isNew && !this.#announced.has(pool)) throw new Error(`nobody was told of the work for ${pool}`);
    }
    for (const model of this.models) this.#check(model);
  }

  /** Jobs a worker of this pool may get next, by the rules: the first of each pipeline that may run. */
  takeable(pool: string): Job[] {
    return this.models.flatMap((model) => {
      const [first] = model.mayRun ? model.waiting.filter((job) => job.pool === pool) : [];
      return first === undefined ? [] : [first];
    });
  }

  take(pool: string): boolean {
    const allowed = this.takeable(pool);
    const ticket = this.scheduler.take(pool);
    if (ticket === undefined) {
      expect(allowed).toEqual([]);
      return false;
    }
    const model = this.#modelOf(ticket.flow);
    const job = allowed.find(({ delivery }) => delivery === ticket.taken.item);
    if (job === undefined) throw new Error("the job is not the first of a pipeline that may run");
    // An eager driver may have delivered while the job was taken: only this job leaves.
    model.waiting = model.waiting.filter((other) => other !== job);
    model.running += 1;
    this.running.push({ ticket, job, model });
    return true;
  }

  #perform(step: Operation): void {
    switch (step.t) {
      case "deliver":
        this.#deliver(this.#model(step.pipeline), step.count, step.pool);
        break;
      case "take":
        this.take(step.pool);
        break;
      case "finished":
        this.#finish(step.which);
        break;
      case "settled":
        this.#settle(step.which);
        break;
      case "put back":
        this.#putBack(step.which);
        break;
      case "open":
        this.#model(step.pipeline).open = true;
        this.scheduler.open(this.#model(step.pipeline).flow);
        break;
      case "close":
        this.#model(step.pipeline).open = false;
        this.scheduler.close(this.#model(step.pipeline).flow);
        break;
      case "withdraw":
        this.#withdraw(this.#model(step.pipeline));
        break;
      case "on idle":
        this.#onIdle(this.#model(step.pipeline));
    }
  }

  /** As a driver does: never more than the credit. */
  #deliver(model: Model, count: number, pool: string): void {
    for (let left = Math.min(count, model.flow.credit); left > 0; left--) {
      this.delivered += 1;
      const delivery = aDelivery({ headers: toHeaders([["pool", [pool]]]) });
      model.waiting.push({ delivery, pool, number: this.delivered });
      model.flow.deliver(delivery, PRIORITY);
    }
  }

  #finish(which: number): void {
    const [entry] = this.running.splice(which % Math.max(1, this.running.length), 1);
    if (entry === undefined) return;
    entry.model.running -= 1;
    entry.model.settling += 1;
    this.settling.push(entry);
    this.scheduler.finished(entry.ticket);
  }

  #settle(which: number): void {
    const [entry] = this.settling.splice(which % Math.max(1, this.settling.length), 1);
    if (entry === undefined) return;
    entry.model.settling -= 1;
    this.gone += 1;
    this.#expectIdle(entry.model);
    this.scheduler.settled(entry.ticket);
  }

  #putBack(which: number): void {
    const [entry] = this.running.splice(which % Math.max(1, this.running.length), 1);
    if (entry === undefined) return;
    entry.model.running -= 1;
    entry.model.waiting.push(entry.job);
    entry.model.waiting.sort((a, b) => a.number - b.number);
    this.#expectIdle(entry.model);
    this.scheduler.putBack(entry.ticket);
  }

  #withdraw(model: Model): void {
    const waiting = model.waiting;
    model.waiting = [];
    this.gone += waiting.length;
    const withdrawn = this.scheduler.withdraw(model.flow);
    for (const pool of POOLS) {
      const expected = waiting.filter((job) => job.pool === pool).map((job) => job.delivery);
      expect(withdrawn.filter((delivery) => expected.includes(delivery))).toEqual(expected);
    }
    expect(withdrawn).toHaveLength(waiting.length);
  }

  #onIdle(model: Model): void {
    const call = { expected: model.running + model.settling === 0 ? 1 : 0, seen: 0 };
    model.idleCalls.push(call);
    model.flow.onIdle(() => {
      call.seen += 1;
    });
  }

  #expectIdle(model: Model): void {
    if (model.running + model.settling === 0) for (const call of model.idleCalls) call.expected = 1;
  }

  #check(model: Model): void {
    const { flow, spec } = model;
    const counts = `${flow.queued} ${flow.running} ${flow.settling}`;
    ensure(counts === `${model.waiting.length} ${model.running} ${model.settling}`, `the counts are ${counts}`);
    ensure(spec.concurrency === 0 || flow.running <= spec.concurrency, "more run than the concurrency");
    ensure(flow.running + flow.settling <= spec.prefetch, "more are unsettled than the prefetch");
    ensure(model.held <= spec.prefetch, "more are held than the prefetch");
    const credit = this.scheduler.creditOf(flow);
    const right = this.#creditByTheRules(model);
    ensure(credit === right, `the credit is ${credit}, by the rules ${right}`);
    ensure(!flow.starved || credit === 0, "a driver that waits for credit was not told of it");
    ensure(
      model.idleCalls.every((call) => call.seen === call.expected),
      "an idle callback came too early, too late or twice",
    );
  }

  #creditByTheRules(model: Model): number {
    const { spec, held } = model;
    if (spec.storage === "local") return Infinity;
    if (!model.open) return 0;
    const room = HELD_LIMIT - this.models.reduce((sum, each) => sum + Math.max(each.held, this.#reserve(each)), 0);
    const share = Math.max(0, this.#reserve(model) - held) + Math.max(0, room);
    return Math.max(0, Math.min(spec.prefetch - held, model.running + spec.fetchAhead - held, share));
  }

  #reserve(model: Model): number {
    const consuming = this.models.filter((each) => each.open && each.spec.storage === "broker");
    return consuming.includes(model) ? Math.max(1, Math.floor(HELD_LIMIT / (2 * consuming.length))) : 0;
  }

  #model(index: number): Model {
    const model = this.models[index];
    if (model === undefined) throw new Error(`no pipeline ${index}`);
    return model;
  }

  #modelOf(flow: Flow): Model {
    const model = this.models.find((each) => each.flow === flow);
    if (model === undefined) throw new Error("a ticket of an unknown flow");
    return model;
  }
}

test("the scheduler keeps its limits and its order, and loses nothing, whatever happens in whatever order", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 150, size: "max" }), (operations) => {
      const world = new World();
      for (const index of PIPELINES.keys()) world.run({ t: "open", pipeline: index });

      for (const step of operations) world.run(step);

      while (world.running.length > 0) world.run({ t: "finished", which: 0 });
      while (world.settling.length > 0) world.run({ t: "settled", which: 0 });
      for (const index of PIPELINES.keys()) {
        world.run({ t: "close", pipeline: index });
        world.run({ t: "withdraw", pipeline: index });
      }
      expect(world.gone).toBe(world.delivered);
      expect(POOLS.some((pool) => world.take(pool))).toBe(false);
    }),
    { numRuns: 100 },
  );
});
