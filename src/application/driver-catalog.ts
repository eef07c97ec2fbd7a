import { UnknownDriverError } from "../domain/errors.ts";
import type { DriverFactory } from "../domain/ports/driver-factory.ts";

/** Driver kinds this daemon can serve. Of two factories with one kind the last wins, as in RoadRunner. */
export class DriverCatalog {
  readonly #factories: ReadonlyMap<string, DriverFactory>;

  constructor(factories: readonly DriverFactory[]) {
    this.#factories = new Map(factories.map((factory) => [factory.kind, factory]));
  }

  get kinds(): readonly string[] {
    return [...this.#factories.keys()].sort();
  }

  /** @throws {UnknownDriverError} */
  factoryFor(kind: string, pipeline: string): DriverFactory {
    const factory = this.#factories.get(kind);
    if (factory === undefined) throw new UnknownDriverError(kind, pipeline, this.kinds);
    return factory;
  }
}
