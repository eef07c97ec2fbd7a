/**
 * The way of a dead letter that comes back to where it began: names of pipelines, the first one again at the end;
 * `undefined` if it ends somewhere.
 *
 * @param targetOf pipeline a pipeline's dead letters go to, `undefined` if they go to none
 */
export function deadLetterCycle(
  pipeline: string,
  targetOf: (pipeline: string) => string | undefined,
): readonly string[] | undefined {
  const way = [pipeline];
  for (let next = targetOf(pipeline); next !== undefined; next = targetOf(next)) {
    // A circle further on is the problem of those who are in it.
    if (next !== pipeline && way.includes(next)) return undefined;
    way.push(next);
    if (next === pipeline) return way;
  }
  return undefined;
}
