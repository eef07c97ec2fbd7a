import { InvalidPipelineError } from "../../domain/errors.ts";
import { PipelineSettings } from "../../domain/pipeline-settings.ts";
import { type ArgumentTable, checkShortString, toArguments } from "./queue-arguments.ts";

export const EXCHANGE_TYPES = ["direct", "fanout", "topic", "headers"] as const;

export type ExchangeType = (typeof EXCHANGE_TYPES)[number];

export const UNROUTABLE_ACTIONS = ["error", "warn", "ignore"] as const;

/** What becomes of a pushed job that no queue takes. */
export type UnroutableAction = (typeof UNROUTABLE_ACTIONS)[number];

export const DELAY_STRATEGIES = ["own", "rr"] as const;

/** Which delay queues pushes go through: ours, or those of RoadRunner, with its names and bindings. */
export type DelayStrategy = (typeof DELAY_STRATEGIES)[number];

export interface ExchangeOptions {
  readonly name: string;
  readonly type: ExchangeType;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly declare: boolean;
}

export interface QueueOptions {
  /** Empty: the pipeline only pushes. */
  readonly name: string;
  readonly routingKey: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly exclusive: boolean;
  readonly deleteOnStop: boolean;
  readonly declare: boolean;
  readonly arguments: ArgumentTable;
}

export interface ConsumerOptions {
  /** Empty: one is generated. */
  readonly tag: string;
  readonly arguments: ArgumentTable;
  /** Deliveries the broker sends ahead, 1…65535. */
  readonly prefetch: number;
  readonly requeueOnFail: boolean;
  /** Jobs that ended are not run again when a lost connection makes the broker deliver them once more. */
  readonly skipFinished: boolean;
}

/** Options of an AMQP pipeline, all checked, none optional. */
export interface AmqpOptions {
  readonly exchange: ExchangeOptions;
  readonly queue: QueueOptions;
  readonly consumer: ConsumerOptions;
  /** A link that is down for longer is reported as not ready, and its pushes fail at once. */
  readonly redialTimeoutMs: number;
  readonly onUnroutable: UnroutableAction;
  readonly delayStrategy: DelayStrategy;
}

export interface ParsedAmqpOptions {
  readonly options: AmqpOptions;
  /** What was written and has no effect, one sentence each. */
  readonly warnings: readonly string[];
}

const DEFAULT_EXCHANGE = "amqp.default";
const DEFAULT_PREFETCH = 10;
const DEFAULT_REDIAL_TIMEOUT_SEC = 60;

/** Names of version 2 inside `exchange` and `queue`, and the flat names they stand for. */
const NESTED = {
  exchange: {
    name: "exchange",
    type: "exchange_type",
    durable: "exchange_durable",
    auto_delete: "exchange_auto_delete",
    declare: "exchange_declare",
  },
  queue: {
    name: "queue",
    routing_key: "routing_key",
    durable: "durable",
    auto_delete: "queue_auto_delete",
    exclusive: "exclusive",
    delete_on_stop: "delete_queue_on_stop",
    multiple_ack: "multiple_ack",
    requeue_on_fail: "requeue_on_fail",
    consumer_id: "consumer_id",
    consumer_arguments: "consumer_arguments",
    headers: "queue_headers",
    declare: "queue_declare",
  },
} as const;

/** Names that are the same in both versions. */
const COMMON = ["prefetch", "redial_timeout", "on_unroutable", "delay_strategy", "skip_finished"] as const;

const FLAT = [...Object.values(NESTED.exchange), ...Object.values(NESTED.queue)];

/** Names of the options, as they stand in `config` or in Declare. `consume_all` is accepted and has no effect. */
export const AMQP_OPTIONS: readonly string[] = ["version", "consume_all", ...COMMON, ...FLAT];

/** @throws {InvalidPipelineError} an option can not be used: the message names it */
export function parseAmqpOptions(settings: PipelineSettings): ParsedAmqpOptions {
  const version = settings.int("version", 0);
  switch (version) {
    case 0:
    case 1:
      refuseNested(settings);
      return { options: parseFlat(settings), warnings: [] };
    case 2:
      return parseNested(settings);
    default:
      throw new InvalidPipelineError(`unsupported AMQP pipeline config version: ${version}`);
  }
}

function refuseNested(settings: PipelineSettings): void {
  for (const section of ["exchange", "queue"] as const) {
    if (!isMap(settings.get(section))) continue;
    throw new InvalidPipelineError(`option ${section}: a map is the form of version 2, add version: 2 to the config`);
  }
}

function parseNested(settings: PipelineSettings): ParsedAmqpOptions {
  const warnings: string[] = [];
  const flat: Record<string, unknown> = {};
  for (const name of COMMON) flat[name] = settings.get(name);
  let sections = 0;
  for (const section of ["exchange", "queue"] as const) {
    const value = settings.get(section);
    if (value === undefined) continue;
    if (!isMap(value)) throw new InvalidPipelineError(`option ${section}: expected a map, as version 2 has it`);
    sections += 1;
    const names: Readonly<Record<string, string>> = NESTED[section];
    for (const [key, entry] of Object.entries(value)) {
      const name = names[key.toLowerCase()];
      if (name === undefined) warnings.push(`${section}.${key}: unknown option is ignored`);
      else flat[name] = entry;
    }
  }
  if (sections === 0) {
    throw new InvalidPipelineError("exchange or queue configuration is required for AMQP config version 2");
  }
  for (const name of FLAT) {
    if (name !== "exchange" && name !== "queue" && settings.has(name)) {
      warnings.push(`${name}: has no effect with version 2, write it inside exchange or queue`);
    }
  }
  return { options: parseFlat(new PipelineSettings(flat)), warnings };
}

function parseFlat(settings: PipelineSettings): AmqpOptions {
  const exchange = readExchange(settings);
  const queue = readQueue(settings, exchange);
  const redialTimeoutSec = settings.int("redial_timeout", DEFAULT_REDIAL_TIMEOUT_SEC);
  return {
    exchange,
    queue,
    consumer: readConsumer(settings),
    redialTimeoutMs: (redialTimeoutSec <= 0 ? DEFAULT_REDIAL_TIMEOUT_SEC : redialTimeoutSec) * 1000,
    onUnroutable: oneOf(settings, "on_unroutable", UNROUTABLE_ACTIONS),
    delayStrategy: oneOf(settings, "delay_strategy", DELAY_STRATEGIES),
  };
}

function readExchange(settings: PipelineSettings): ExchangeOptions {
  const name = settings.string("exchange", DEFAULT_EXCHANGE);
  checkShortString("exchange", name);
  const type = readExchangeType(settings.string("exchange_type", "direct"));
  const durable = settings.bool("exchange_durable", false);
  const autoDelete = settings.bool("exchange_auto_delete", false);
  const declare = settings.bool("exchange_declare", true);
  if (!name.startsWith("amq.") || !declare) return { name, type, durable, autoDelete, declare };
  const predefined = PREDEFINED_EXCHANGES[name];
  if (predefined === undefined) {
    throw new InvalidPipelineError(
      `option exchange: names that begin with "amq." belong to the broker, ${JSON.stringify(name)} can not be declared: choose another name, or exchange_declare: false`,
    );
  }
  if (predefined !== type) {
    throw new InvalidPipelineError(
      `option exchange_type: ${name} is a ${predefined} exchange of the broker, not ${type}`,
    );
  }
  // It is there in any case, durable and as the broker made it.
  return { name, type, durable: true, autoDelete: false, declare: false };
}

const PREDEFINED_EXCHANGES: Readonly<Record<string, ExchangeType>> = {
  "amq.direct": "direct",
  "amq.fanout": "fanout",
  "amq.topic": "topic",
  "amq.headers": "headers",
  "amq.match": "headers",
};

/** `topics` is what the constant of the PHP library says. */
function readExchangeType(text: string): ExchangeType {
  const type = text === "topics" ? "topic" : text;
  const found = EXCHANGE_TYPES.find((candidate) => candidate === type);
  if (found !== undefined) return found;
  throw new InvalidPipelineError(
    `invalid exchange type ${JSON.stringify(text)}, must be one of: ${EXCHANGE_TYPES.join(", ")}`,
  );
}

function readQueue(settings: PipelineSettings, exchange: ExchangeOptions): QueueOptions {
  const routingKey = settings.string("routing_key", "");
  if (routingKey === "" && exchange.type !== "fanout") {
    throw new InvalidPipelineError("empty routing key, consider adding the routing key name to the AMQP configuration");
  }
  const queue = {
    name: settings.string("queue", ""),
    routingKey,
    durable: settings.bool("durable", false),
    autoDelete: settings.bool("queue_auto_delete", false),
    exclusive: settings.bool("exclusive", false),
    deleteOnStop: settings.bool("delete_queue_on_stop", false),
    declare: settings.bool("queue_declare", true),
    arguments: toArguments("queue_headers", readMap(settings, "queue_headers")),
  };
  checkShortString("queue", queue.name);
  checkShortString("routing_key", queue.routingKey);
  if (queue.declare) checkQueueType(queue);
  return queue;
}

/** What the broker would refuse with a text that does not name the option. */
function checkQueueType(queue: QueueOptions): void {
  const type = queue.arguments["x-queue-type"];
  if (type !== "quorum" && type !== "stream") return;
  const problems = [
    queue.durable ? "" : "durable: true is needed",
    queue.exclusive ? "exclusive must be false" : "",
    queue.autoDelete ? "queue_auto_delete must be false" : "",
  ].filter((problem) => problem !== "");
  if (problems.length === 0) return;
  throw new InvalidPipelineError(`option queue_headers: for x-queue-type ${type}, ${problems.join(", ")}`);
}

function readConsumer(settings: PipelineSettings): ConsumerOptions {
  const prefetch = settings.intInRange("prefetch", DEFAULT_PREFETCH, Number.MIN_SAFE_INTEGER, 65_535);
  const tag = settings.string("consumer_id", "");
  checkShortString("consumer_id", tag);
  // Read so that a wrong value is reported: acknowledgements are cumulative wherever that is safe, with or without it.
  settings.bool("multiple_ack", false);
  return {
    tag,
    arguments: toArguments("consumer_arguments", readMap(settings, "consumer_arguments")),
    prefetch: prefetch <= 0 ? DEFAULT_PREFETCH : prefetch,
    requeueOnFail: settings.bool("requeue_on_fail", false),
    skipFinished: settings.bool("skip_finished", true),
  };
}

/** PHP sends `[]` for an empty map; `null` is what JSON has for none. */
function readMap(settings: PipelineSettings, name: string): Readonly<Record<string, unknown>> {
  const value = settings.get(name);
  if (typeof value === "string" && value.trim() === "null") return {};
  return settings.object(name);
}

function oneOf<const T extends string>(settings: PipelineSettings, name: string, words: readonly [T, ...T[]]): T {
  const text = settings.string(name, words[0]);
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  throw new InvalidPipelineError(`option ${name}: expected ${words.join(", ")}, got ${JSON.stringify(text)}`);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
