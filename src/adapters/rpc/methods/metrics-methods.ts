import { JobsError } from "../../../domain/errors.ts";
import { RpcError } from "../rpc-error.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { BOOLEAN, kindOf, type RequestShape, ShapeError, TEXT } from "../shape.ts";

/** A value for a metric of the application; labels by position. */
export interface MetricValue {
  readonly name: string;
  readonly value: number;
  readonly labels: readonly string[];
}

/** What the application says a metric is. */
export interface MetricDescription {
  readonly type: string;
  readonly help: string;
  readonly namespace: string;
  readonly subsystem: string;
  readonly labels: readonly string[];
  readonly buckets: readonly number[];
  readonly objectives: Readonly<Record<string, number>>;
}

/** What keeps the metrics of the application. Calls throw a `JobsError` whose message is the answer. */
export interface UserMetricsPort {
  add(value: MetricValue): void;
  subtract(value: MetricValue): void;
  set(value: MetricValue): void;
  observe(value: MetricValue): void;
  declare(name: string, description: MetricDescription): void;
  unregister(name: string): boolean;
}

/** The service `metrics`: the application declares and writes metrics of its own. */
export function metricsMethods(metrics: UserMetricsPort): readonly RpcMethod[] {
  const writing = (name: string, write: (value: MetricValue) => void): RpcMethod =>
    rpcMethod({
      name: `metrics.${name}`,
      request: VALUE,
      reply: BOOLEAN,
      call: (value) => {
        translated(() => {
          write(value);
        });
        return true;
      },
    });
  return [
    writing("Add", (value) => {
      metrics.add(value);
    }),
    writing("Sub", (value) => {
      metrics.subtract(value);
    }),
    writing("Set", (value) => {
      metrics.set(value);
    }),
    writing("Observe", (value) => {
      metrics.observe(value);
    }),
    rpcMethod({
      name: "metrics.Declare",
      request: DECLARATION,
      reply: BOOLEAN,
      call: ({ name, description }) => {
        translated(() => {
          metrics.declare(name, description);
        });
        return true;
      },
    }),
    rpcMethod({
      name: "metrics.Unregister",
      request: TEXT,
      reply: BOOLEAN,
      call: (name) => metrics.unregister(name),
    }),
  ];
}

function translated(call: () => void): void {
  try {
    call();
  } catch (error) {
    if (JobsError.is(error)) throw new RpcError(error.message, { cause: error });
    throw error;
  }
}

interface Declaration {
  readonly name: string;
  readonly description: MetricDescription;
}

const VALUE: RequestShape<MetricValue> = plainShape((fields) => ({
  name: fields.text("name"),
  value: fields.number("value"),
  labels: fields.texts("labels"),
}));

const DECLARATION: RequestShape<Declaration> = plainShape((fields) => {
  const collector = fields.fields("collector");
  return {
    name: fields.text("name"),
    description: {
      type: collector.text("type"),
      help: collector.text("help"),
      namespace: collector.text("namespace"),
      subsystem: collector.text("subsystem"),
      labels: collector.texts("labels"),
      buckets: collector.numbers("buckets"),
      objectives: collector.numbersByName("objectives"),
    },
  };
});

/** An argument that is an object in JSON and MessagePack, and has no other form. */
function plainShape<T>(read: (fields: Fields) => T): RequestShape<T> {
  return {
    protobuf: undefined,
    gob: false,
    zero: () => read(new Fields({}, "")),
    fromPlain: (value) => read(new Fields(value ?? {}, "")),
  };
}

/** Reads fields as Go's decoder does: names whatever their case, null and absent alike. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
      throw new ShapeError(`${path === "" ? "" : `${path}: `}expected an object, got ${kindOf(value)}`);
    }
    this.#path = path;
    this.#values = Object.fromEntries(Object.entries(value).map(([name, entry]) => [name.toLowerCase(), entry]));
  }

  text(name: string): string {
    return this.#each(name, [""], textOf)[0] ?? "";
  }

  texts(name: string): readonly string[] {
    return this.#list(name, textOf);
  }

  number(name: string): number {
    return this.#each(name, [0], numberOf)[0] ?? 0;
  }

  numbers(name: string): readonly number[] {
    return this.#list(name, numberOf);
  }

  numbersByName(name: string): Readonly<Record<string, number>> {
    const map: unknown = this.#values[name] ?? {};
    const inner = new Fields(map, this.#at(name));
    return Object.fromEntries(Object.keys(inner.#values).map((key) => [key, inner.number(key)]));
  }

  fields(name: string): Fields {
    return new Fields(this.#values[name] ?? {}, this.#at(name));
  }

  #list<T>(name: string, read: (value: unknown) => T): readonly T[] {
    const value = this.#values[name] ?? [];
    if (!Array.isArray(value)) throw new ShapeError(`${this.#at(name)}: expected a list, got ${kindOf(value)}`);
    return this.#read(name, value, read);
  }

  #each<T>(name: string, fallback: readonly unknown[], read: (value: unknown) => T): readonly T[] {
    const value = this.#values[name];
    return this.#read(name, value === undefined || value === null ? fallback : [value], read);
  }

  #read<T>(name: string, values: readonly unknown[], read: (value: unknown) => T): readonly T[] {
    try {
      return values.map(read);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw new ShapeError(`${this.#at(name)}: ${error.message}`, { cause: error });
    }
  }

  #at(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}

function textOf(value: unknown): string {
  return TEXT.fromPlain(value);
}

function numberOf(value: unknown): number {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "number") throw new ShapeError(`expected a number, got ${kindOf(value)}`);
  return value;
}
