const UNIT_MS = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
} as const;

const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)/y;

/**
 * A duration in the notation of Go (`1m30s`, `500ms`, `1.5h`), plus `d` for days, in milliseconds.
 * `undefined` if the text is none; a bare number is none either (its unit is a matter of the key it stands at).
 */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim();
  const sign = trimmed.startsWith("-") ? -1 : 1;
  const body = /^[-+]/.test(trimmed) ? trimmed.slice(1) : trimmed;
  if (body === "0") return 0;
  if (body === "") return undefined;
  let total = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const part = PART.exec(body);
    if (part === null) return undefined;
    // Checked: the pattern has the same units as the table.
    total += Number(part[1]) * UNIT_MS[part[2] as keyof typeof UNIT_MS];
  }
  return total === 0 ? 0 : sign * total;
}
