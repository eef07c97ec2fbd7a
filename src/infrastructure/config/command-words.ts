const SPACE = /\s/u;

/**
 * The words of a command line: split at white space, which quotes keep together, also inside a word (`--x="a b"`). In
 * double quotes `\"` and `\\` stand for `"` and `\`, everywhere else a backslash is a backslash. No shell, no variables.
 *
 * @returns `undefined` if a quote is not closed
 */
export function splitWords(text: string): readonly string[] | undefined {
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
  if (quote !== "") return undefined;
  if (word !== undefined) words.push(word);
  return words;
}
