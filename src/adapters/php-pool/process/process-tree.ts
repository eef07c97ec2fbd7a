import { readFileSync } from "node:fs";

/** A wrapper script, its shell, and what a container tool puts in between: more would be strange. */
const MAX_GENERATIONS = 16;

/** Parents of a process, the nearest first, as far as `/proc` tells. */
export function ancestorsOf(pid: number): readonly number[] {
  const ancestors: number[] = [];
  for (let current = parentOf(pid); current > 1 && ancestors.length < MAX_GENERATIONS; current = parentOf(current)) {
    ancestors.push(current);
  }
  return ancestors;
}

/** 0 if nobody can tell. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // pid (name) state parent …; the name may have spaces and parentheses.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return 0;
  }
}
