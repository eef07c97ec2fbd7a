/**
 * Whether a stream that listens on `pattern` gets everything that is published to `subject` as it is written: a
 * wildcard in `subject` is a literal token for the server, which only a wildcard matches.
 */
export function covers(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const tokens = subject.split(".");
  for (const [index, token] of wanted.entries()) {
    if (token === ">") return tokens.length > index;
    const actual = tokens[index];
    if (actual === undefined || actual === ">") return false;
    if (token !== "*" && token !== actual) return false;
  }
  return tokens.length === wanted.length;
}

export function hasWildcard(subject: string): boolean {
  return subject.split(".").some((token) => token === "*" || token === ">");
}

/** Where a delivered message is settled, and what the server says about it in that subject. */
export interface AckPlace {
  /** Of the message in its stream. */
  readonly sequence: number;
  /** Deliveries so far, this one included. */
  readonly deliveries: number;
}

const SHORT_TOKENS = 9;
const LONG_TOKENS = 11;

/**
 * Reads `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, or the longer form
 * with domain and account behind `ACK`. `undefined` for anything else.
 */
export function parseAckSubject(reply: string): AckPlace | undefined {
  const tokens = reply.split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK") return undefined;
  const first = tokens.length === SHORT_TOKENS ? 4 : tokens.length >= LONG_TOKENS ? 6 : -1;
  if (first < 0) return undefined;
  const deliveries = Number(tokens[first]);
  const sequence = Number(tokens[first + 1]);
  return Number.isSafeInteger(deliveries) && Number.isSafeInteger(sequence) ? { sequence, deliveries } : undefined;
}
