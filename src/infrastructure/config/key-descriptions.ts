import type { Describe } from "./json-schema.ts";

/** Keys that are documented once for all places where they stand. */
const SHARED: readonly (readonly [RegExp, string])[] = [
  [/^jobs\.pools\.<name>\./, "jobs.pool."],
  [/^logs\.channels\.<name>\./, "logs."],
  [/^(?:jobs\.pipelines\.<name>|jobsd)\.policy\./, ""],
];

/**
 * What keys mean, from the tables of `docs/configuration.md`: `| key, key | default | meaning |`.
 *
 * @param markdown text of that file
 */
export function keyDescriptions(markdown: string): Describe {
  const descriptions = new Map<string, string>();
  for (const [, keys = "", meaning = ""] of markdown.matchAll(/^\| +(`[^|]*`) *\|[^|]*\| *([^|]*?) *\|$/gm)) {
    for (const [, key = ""] of keys.matchAll(/`([^`]+)`/g)) descriptions.set(key, meaning.replaceAll("`", ""));
  }
  return (path) => {
    const shared = SHARED.reduce((key, [pattern, replacement]) => key.replace(pattern, replacement), path);
    return descriptions.get(path) ?? descriptions.get(shared);
  };
}
