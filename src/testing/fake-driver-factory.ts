import type { DriverContext, DriverFactory } from "../domain/ports/driver-factory.ts";
import { FakeDriver, type FakeDriverOptions } from "./fake-driver.ts";
import { FaultPlan } from "./fault-plan.ts";

/** Builds fake drivers and remembers them by pipeline. */
export class FakeDriverFactory implements DriverFactory {
  readonly kind: string;
  readonly optionNames: readonly string[];
  readonly contexts: DriverContext[] = [];
  readonly faults = new FaultPlan<"create">();
  /** Called with each new driver before anybody else gets it, e.g. to plan its faults. */
  onCreate: (driver: FakeDriver) => void = () => undefined;
  readonly #options: FakeDriverOptions;
  readonly #drivers = new Map<string, FakeDriver>();

  constructor(kind = "fake", options: FakeDriverOptions = {}, optionNames: readonly string[] = []) {
    this.kind = kind;
    this.optionNames = optionNames;
    this.#options = options;
  }

  async create(context: DriverContext): Promise<FakeDriver> {
    const { name, priority } = context.pipeline;
    const driver = new FakeDriver(context.sink, { kind: this.kind, queue: name, priority, ...this.#options });
    await this.faults.run("create", () => {
      this.contexts.push(context);
      this.#drivers.set(name, driver);
      this.onCreate(driver);
    });
    return driver;
  }

  /** The newest driver of a pipeline. @throws if none was built */
  driver(pipeline: string): FakeDriver {
    const driver = this.#drivers.get(pipeline);
    if (driver === undefined) throw new Error(`no driver was built for pipeline ${pipeline}`);
    return driver;
  }
}
