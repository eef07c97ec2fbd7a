import { InvalidConfigError } from "../../domain/errors.ts";

const SPACE = /\s/u;

/**
 * The argument vector of a `command` key.
 *
 * A string is split at white space. Quotes keep white space together, also inside a word (`--x="a b"`); in double
 * quotes `\"` and `\\` stand for `"` and `\`, everywhere else a backslash is a backslash. No shell, no variables.
 * A list of two or more is taken as it is; a list of one is taken as it is if that file exists, else split.
 *
 * @param key where the command stands, for error messages, e.g. `server.command`
 * @throws {InvalidConfigError} empty, or a quote is not closed
 */
export function toArgv(
  key: string,
  command: string | readonly string[],
  fileExists: (path: string) => boolean,
): readonly [string, ...string[]] {
  const argv = typeof command === "string" ? split(key, command) : fromList(key, command, fileExists);
  const [program, ...args] = argv;
  if (program === undefined || program === "") {
    throw new InvalidConfigError([`${key}: command should not be empty; write e.g. "php worker.php"`]);
  }
  return [program, ...args];
}

function fromList(key: string, list: readonly string[], fileExists: (path: string) => boolean): readonly string[] {
  const [only] = list;
  if (list.length !== 1 || only === undefined || fileExists(only)) return list;
  return split(key, only);
}

function split(key: string, text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index);
    if (quote !== "") {
      const next = text.charAt(index + 1);
      if (char === quote) quote = "";
      else if (quote === '"' && char === "\\" && (next === '"' || next === "\\")) {
        word = `${word ?? ""}${next}`;
        index += 1;
      } else word = `${word ?? ""}${char}`;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (SPACE.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = `${word ?? ""}${char}`;
  }
  if (quote !== "") throw new InvalidConfigError([`${key}: quote ${quote} is not closed in: ${text}`]);
  if (word !== undefined) words.push(word);
  return words;
}
