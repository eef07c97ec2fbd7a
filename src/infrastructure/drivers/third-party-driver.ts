import type { DriverLoader } from "../../application/driver-catalog.ts";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { InvalidConfigError, InvalidPipelineError, messageOf } from "../../domain/errors.ts";
import type {
  CreateDriverFactory,
  DriverContext,
  DriverFactory,
  DriverServices,
} from "../../domain/ports/driver-factory.ts";
import type { Driver } from "../../domain/ports/driver.ts";
import { findPackage } from "./find-package.ts";

/** Name under which a package exports its factory. */
const EXPORT = "createDriverFactory";

const METHODS = ["push", "pushBatch", "resume", "pause", "creditAvailable", "stats", "close"] as const;

/**
 * A driver that is not ours: a package of `jobsd.drivers`. Only the configuration of the daemon says what is imported,
 * never a pipeline or a job.
 */
export class ThirdPartyDriver implements DriverLoader {
  readonly kind: string;
  readonly #package: string;
  readonly #folders: readonly string[];
  readonly #services: DriverServices;

  /** @param folders where the package may be installed, the first in which it is counts */
  constructor(kind: string, name: string, folders: readonly string[], services: DriverServices) {
    this.kind = kind;
    this.#package = name;
    this.#folders = folders;
    this.#services = services;
  }

  /** @throws {InvalidConfigError} the package is missing, fails, or does not export what a driver has to */
  async load(): Promise<DriverFactory> {
    const create = (await this.#import())[EXPORT];
    if (typeof create !== "function") throw this.#problem(`does not export a function ${EXPORT}`);
    let factory: unknown;
    try {
      factory = await (create as CreateDriverFactory)(this.#services);
    } catch (error) {
      throw this.#problem(`can not be used: ${messageOf(error)}`, error);
    }
    return new CheckedFactory(this.kind, this.#package, this.#checked(factory));
  }

  async #import(): Promise<Readonly<Record<string, unknown>>> {
    let url: string | undefined;
    try {
      url = this.#folders.map((folder) => findPackage(this.#package, folder)).find((found) => found !== undefined);
      if (url !== undefined) return (await import(url)) as Readonly<Record<string, unknown>>;
    } catch (error) {
      throw this.#problem(`can not be imported: ${messageOf(error)}`, error);
    }
    const looked = this.#folders.join(" and ");
    throw this.#problem(`is not installed, looked for it from ${looked}; try: npm install ${this.#package}`);
  }

  #checked(factory: unknown): DriverFactory {
    if (typeof factory !== "object" || factory === null) throw this.#problem(`${EXPORT} did not return a factory`);
    const { kind, optionNames, create } = factory as Partial<DriverFactory>;
    if (kind !== this.kind) {
      throw this.#problem(`is a driver of kind ${JSON.stringify(kind)}, write it as jobsd.drivers.${String(kind)}`);
    }
    if (!Array.isArray(optionNames)) throw this.#problem(`its factory has no list optionNames`);
    if (typeof create !== "function") throw this.#problem(`its factory has no function create`);
    return factory as DriverFactory;
  }

  #problem(what: string, cause?: unknown): InvalidConfigError {
    const text = `jobsd.drivers.${this.kind}: package ${this.#package} ${what}`;
    return new InvalidConfigError([text], { cause });
  }
}

/** A factory whose drivers are looked at before they are used: what is missing would only show with the first job. */
class CheckedFactory implements DriverFactory {
  readonly kind: string;
  readonly optionNames: readonly string[];
  readonly #package: string;
  readonly #factory: DriverFactory;

  constructor(kind: string, name: string, factory: DriverFactory) {
    this.kind = kind;
    this.optionNames = factory.optionNames;
    this.#package = name;
    this.#factory = factory;
  }

  async create(context: DriverContext, signal: CancelSignal): Promise<Driver> {
    const driver = await this.#factory.create(context, signal);
    const problem = problemOf(driver);
    if (problem !== undefined) {
      throw new InvalidPipelineError(`driver ${this.kind}: what package ${this.#package} built has ${problem}`);
    }
    return driver;
  }
}

/** What is missing, in words. */
function problemOf(driver: Partial<Driver> | undefined): string | undefined {
  const missing = METHODS.filter((name) => typeof driver?.[name] !== "function");
  if (missing.length > 0) return `no method ${missing.join(", ")}`;
  if (typeof driver?.queue !== "string") return "no name of its queue (queue)";
  if (typeof driver.link?.t !== "string") return "no state of its link (link)";
  const { storage, prefetch } = driver.capabilities ?? {};
  if (storage !== "broker" && storage !== "local") return 'no capabilities.storage, "broker" or "local"';
  if (prefetch === undefined || !(prefetch >= 1)) return "no capabilities.prefetch of 1 or more";
  return undefined;
}
