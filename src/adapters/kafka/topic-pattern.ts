const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\x00-\\x7F",
  blank: "\\t ",
  cntrl: "\\x00-\\x1F\\x7F",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/**
 * A regular expression in RE2's notation as one of JavaScript, unanchored. `undefined` where it is none, or uses what
 * has no equal here: then nothing could be matched silently.
 */
export function compileTopicPattern(written: string): RegExp | undefined {
  const flags = /^\(\?([is]+)\)/.exec(written);
  const body = flags === null ? written : written.slice(flags[0].length);
  const translated = body
    .replace(/\(\?P</g, "(?<")
    .replace(/\\A/g, "^")
    .replace(/\\z/g, "$")
    .replace(/\[:(\^?)(\w+):\]/g, (match, negated: string, name: string) =>
      negated === "" ? (POSIX_CLASSES[name] ?? match) : match,
    );
  // Left over: negated or unknown classes, flags inside, \Q…\E, possessive things RE2 knows nothing of either.
  if (/\[:|\(\?[a-zA-Z^-]|\\[QEC]/.test(translated)) return undefined;
  // Without `u` JavaScript takes escapes RE2 takes (`\\-`), and would take classes of Unicode for something else.
  return (
    patternOf(translated, `u${flags?.[1] ?? ""}`) ?? patternOf(translated.replace(/\\[pP]/g, "("), flags?.[1] ?? "")
  );
}

function patternOf(source: string, flags: string): RegExp | undefined {
  try {
    return new RegExp(source, flags);
  } catch {
    return undefined;
  }
}
