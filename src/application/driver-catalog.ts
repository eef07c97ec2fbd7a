import { UnknownDriverError } from "../domain/errors.ts";
import type { DriverFactory } from "../domain/ports/driver-factory.ts";

/** A factory that is only brought in when a pipeline needs it, since a broker's client takes time and memory to load. */
export interface DriverLoader {
  /** The value of `driver:` in the configuration. */
  readonly kind: string;
  /** Called once; again if it failed. */
  load(): Promise<DriverFactory>;
}

/** Driver kinds this daemon can serve. Of two with one kind the last wins, as in RoadRunner. */
export class DriverCatalog {
  readonly #loaders: ReadonlyMap<string, DriverLoader>;
  readonly #factories = new Map<string, Promise<DriverFactory>>();

  /** @param loaders win over factories of the same kind */
  constructor(factories: readonly DriverFactory[], loaders: readonly DriverLoader[] = []) {
    const ready = factories.map((factory) => ({ kind: factory.kind, load: () => Promise.resolve(factory) }));
    this.#loaders = new Map([...ready, ...loaders].map((loader) => [loader.kind, loader]));
  }

  get kinds(): readonly string[] {
    return [...this.#loaders.keys()].sort();
  }

  /** @throws {UnknownDriverError}, and what loading it throws */
  async factoryFor(kind: string, pipeline: string): Promise<DriverFactory> {
    const loader = this.#loaders.get(kind);
    if (loader === undefined) throw new UnknownDriverError(kind, pipeline, this.kinds);
    const known = this.#factories.get(kind);
    if (known !== undefined) return known;
    const loading = loader.load();
    this.#factories.set(kind, loading);
    try {
      return await loading;
    } catch (error) {
      this.#factories.delete(kind);
      throw error;
    }
  }
}
