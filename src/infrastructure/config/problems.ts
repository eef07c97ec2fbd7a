/** A place in a configuration file, counted from 1. Line 0: the value did not come from a file (`-o`). */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export type Severity = "error" | "warning" | "info";

/** Something to tell the operator about the configuration. */
export interface Problem extends Place {
  readonly severity: Severity;
  /** Dotted path of the key, lower case; empty if the whole file is meant. */
  readonly path: string;
  /** Says what is wrong and what to do; never a secret. */
  readonly message: string;
}

/** `file:line:column: path: message`, as compilers print it. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const path = problem.path === "" ? "" : `${problem.path}: `;
  const severity = problem.severity === "warning" ? "warning: " : "";
  return `${place}: ${path}${severity}${problem.message}`;
}

/** The problems behind an `InvalidConfigError`, for those who want them one by one. */
export class ConfigProblems extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(`${problems.length} problems`);
    this.name = "ConfigProblems";
    this.problems = problems;
  }
}

/** Collects everything that is wrong, so that one run reports all of it; the same thing once. */
export class ProblemList {
  readonly #problems: Problem[] = [];
  readonly #texts = new Set<string>();
  /** In the order in which they were read. */
  readonly #files: string[] = [];

  /** A file is read: its problems come after those of the files before it. */
  fileRead(file: string): void {
    if (!this.#files.includes(file)) this.#files.push(file);
  }

  error(place: Place, path: string, message: string): void {
    this.#add("error", place, path, message);
  }

  warning(place: Place, path: string, message: string): void {
    this.#add("warning", place, path, message);
  }

  info(place: Place, path: string, message: string): void {
    this.#add("info", place, path, message);
  }

  /** Problems of one severity: those without a line first, then file by file. */
  of(severity: Severity): readonly Problem[] {
    const fileOf = (problem: Problem): number => (problem.line === 0 ? -1 : this.#files.indexOf(problem.file));
    return this.#problems
      .filter((problem) => problem.severity === severity)
      .sort((a, b) => fileOf(a) - fileOf(b) || a.line - b.line || a.column - b.column);
  }

  #add(severity: Severity, { file, line, column }: Place, path: string, message: string): void {
    const problem: Problem = { severity, file, line, column, path, message };
    const text = JSON.stringify(problem);
    if (this.#texts.has(text)) return;
    this.#texts.add(text);
    this.fileRead(file);
    this.#problems.push(problem);
  }
}

/** The candidate that was most likely meant, or `undefined` if none is near. */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  const limit = Math.max(1, Math.floor(name.length / 3));
  let best: string | undefined;
  let bestDistance = limit + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate, limit);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Edits (insert, delete, replace, swap of neighbours) between two words; more than `limit` is not counted out. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  let beforePrevious = previous;
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (beforePrevious[j - 2] ?? 0) + 1 : Infinity;
      current.push(Math.min(substitution, swap, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length] ?? limit + 1;
}
