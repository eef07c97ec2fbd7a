import { InvalidPipelineError } from "../../domain/errors.ts";
import type { PipelineDefinition } from "../../domain/pipeline.ts";
import type { PipelineSettings } from "../../domain/pipeline-settings.ts";
import { type ConnectionOptions, parseConnection } from "./connection-options.ts";
import { type ConsumerOptions, parseConsumer } from "./consumer-options.ts";
import { isMap, type OptionMap, OptionSection, type OptionWarnings } from "./option-section.ts";
import { parseProducer, type ProducerOptions } from "./producer-options.ts";

/** Names a pipeline of this kind may have, besides those of every pipeline. */
export const KAFKA_OPTIONS = [
  "brokers",
  "ping",
  "tls",
  "sasl",
  "sasl_options",
  "auto_create_topics_enable",
  "producer_options",
  "consumer_options",
  "group_options",
  "dead_letter_topic",
  "queue",
] as const;

const MERGED = ["ping", "tls", "sasl", "producer_options", "consumer_options", "group_options"] as const;
const DECLARED_MAPS = ["producer_options", "consumer_options", "group_options"] as const;

/** Everything a pipeline needs to know; nothing is optional but what may really be missing. */
export interface KafkaOptions {
  readonly connection: ConnectionOptions;
  readonly producer: ProducerOptions;
  /** Absent: the pipeline only pushes. */
  readonly consumer: ConsumerOptions | undefined;
  readonly autoCreateTopics: boolean;
  /** Where jobs go that are given up; empty: the failed store. */
  readonly deadLetterTopic: string;
  /** What the user should know and that stops nothing. */
  readonly warnings: readonly string[];
}

/**
 * Options of one pipeline over those of the section `kafka`, by the rules of RoadRunner: maps of a file are merged key
 * by key and lists replaced; Declare has an option map whole or not at all, and no address.
 *
 * @param section the section `kafka` as it was written
 * @throws {InvalidPipelineError} in RoadRunner's words where it has them, with the key it is about
 */
export function parseKafkaOptions(definition: PipelineDefinition, section: OptionMap): KafkaOptions {
  const warnings: OptionWarnings = [];
  const declared = definition.origin === "declared";
  const merged = declared ? declaredOptions(definition.settings, section) : fileOptions(definition.settings, section);
  const options = new OptionSection(merged, "", warnings);
  return {
    connection: parseConnection(options, declared),
    producer: parseProducer(options.section("producer_options") ?? options.empty("producer_options"), declared),
    consumer: parseConsumer(options, definition.name, declared),
    autoCreateTopics: options.bool("auto_create_topics_enable", false),
    deadLetterTopic: options.text("dead_letter_topic", ""),
    warnings,
  };
}

function fileOptions(settings: PipelineSettings, section: OptionMap): OptionMap {
  const own = Object.fromEntries(KAFKA_OPTIONS.map((name) => [name, settings.get(name)]));
  for (const name of [...MERGED, "sasl_options"]) own[name] = jsonMap(settings, name);
  const merged: Record<string, unknown> = { ...lowerCased(section) };
  for (const [name, value] of Object.entries(own)) if (value !== undefined) merged[name] = value;
  for (const name of MERGED) {
    const base = lowerCased(section)[name];
    const over = own[name];
    if (isMap(base) && isMap(over)) merged[name] = { ...lowerCased(base), ...lowerCased(over) };
  }
  // RoadRunner's schema names it, its code does not read it: here it works.
  if (isMap(own["sasl_options"])) {
    const sasl = merged["sasl"];
    merged["sasl"] = { ...(isMap(sasl) ? sasl : {}), ...own["sasl_options"] };
  }
  return merged;
}

function declaredOptions(settings: PipelineSettings, section: OptionMap): OptionMap {
  const merged: Record<string, unknown> = { ...lowerCased(section) };
  for (const name of DECLARED_MAPS) {
    const map = jsonMap(settings, name);
    if (map !== undefined) merged[name] = map;
  }
  const sasl = jsonMap(settings, "sasl_options");
  if (sasl !== undefined) merged["sasl"] = sasl;
  merged["auto_create_topics_enable"] = settings.string("auto_create_topics_enable", "") === "true";
  merged["dead_letter_topic"] = settings.string("dead_letter_topic", "") || merged["dead_letter_topic"];
  return merged;
}

/** `undefined` where the option is absent, empty or `null`. */
function jsonMap(settings: PipelineSettings, name: string): OptionMap | undefined {
  const value = settings.get(name);
  if (value === undefined || value === "") return undefined;
  if (isMap(value)) return value;
  const written = typeof value === "string" ? value : JSON.stringify(value);
  let parsed: unknown;
  try {
    parsed = JSON.parse(written);
  } catch (error) {
    throw new InvalidPipelineError(`option ${name}: expected the JSON text of a map`, { cause: error });
  }
  if (parsed === null) return undefined;
  if (!isMap(parsed)) throw new InvalidPipelineError(`option ${name}: expected the JSON text of a map`);
  return parsed;
}

function lowerCased(map: OptionMap): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name.toLowerCase(), value]));
}
