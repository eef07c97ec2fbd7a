/**
 * The counters in an answer of beanstalkd's `stats` commands, which is a small YAML document of `name: value` lines.
 * Values stay texts: a tube may be called `0123`.
 */
export function parseStats(body: Buffer): ReadonlyMap<string, string> {
  const stats = new Map<string, string>();
  for (const line of body.toString("utf8").split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) stats.set(line.slice(0, at), line.slice(at + 2).replace(/^"(.*)"$/, "$1"));
  }
  return stats;
}

/** A counter; `fallback` where the server has none of this name. */
export function counter(stats: ReadonlyMap<string, string>, name: string, fallback = 0): number {
  const value = Number(stats.get(name) ?? NaN);
  return Number.isFinite(value) ? value : fallback;
}
