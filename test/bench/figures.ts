/** One line of the report: what we need, what the same work costs without us, and what was promised. */
export interface Figure {
  readonly path: string;
  readonly unit: string;
  /** One value for each round; a round measures both, one right after the other. */
  readonly ours: readonly number[];
  readonly yardstick: readonly number[];
  readonly yardstickName: string;
  /** Promised ratio ours ÷ yardstick, and whether it is an upper or a lower limit. */
  readonly goal: { readonly ratio: number; readonly is: "at most" | "at least" };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? NaN) + high) / 2;
}

/** Share `part` (0…1) of the values is at most this. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? NaN;
}

/** Median of the rounds' ratios: pairs are compared, so a slow moment of the machine slows both. */
export function ratioOf(figure: Figure): number {
  return median(figure.ours.map((value, round) => value / (figure.yardstick[round] ?? NaN)));
}

export function holds(figure: Figure): boolean {
  const ratio = ratioOf(figure);
  return figure.goal.is === "at most" ? ratio <= figure.goal.ratio : ratio >= figure.goal.ratio;
}

/** A table in Markdown, as docs/performance.md has it. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.path,
    `${format(median(figure.ours))} ${figure.unit}`,
    `${format(median(figure.yardstick))} ${figure.unit} (${figure.yardstickName})`,
    `${ratioOf(figure).toFixed(2)} ×`,
    `${figure.goal.is} ${figure.goal.ratio} ×`,
    holds(figure) ? "yes" : "no",
  ]);
  const all = [["path", "jobsd", "yardstick", "ratio", "goal", "reached"], ...rows];
  const widths = all[0]?.map((_cell, column) => Math.max(...all.map((row) => (row[column] ?? "").length))) ?? [];
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = all;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}

function format(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString("en-US");
  return value >= 10 ? value.toFixed(1) : value.toFixed(3);
}
