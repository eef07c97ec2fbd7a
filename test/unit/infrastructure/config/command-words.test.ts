import { describe, expect, test } from "@jest/globals";
import { splitWords } from "../../../../src/infrastructure/config/command-words.ts";

describe("the words of a command", () => {
  test.each<[string, string, readonly string[]]>([
    ["a text is split at white space", " php \t worker.php\n", ["php", "worker.php"]],
    ["commas stay where they are", "php w.php --x=1,2", ["php", "w.php", "--x=1,2"]],
    ["double quotes keep white space together", 'php "my worker.php"', ["php", "my worker.php"]],
    ["single quotes, too", "php 'my worker.php'", ["php", "my worker.php"]],
    ["quotes work inside a word", 'php --x="a b"c', ["php", "--x=a bc"]],
    ["empty quotes are an empty argument", 'php ""', ["php", ""]],
    [
      "a backslash escapes quote and backslash in double quotes",
      String.raw`php "a\"b\\c\d"`,
      ["php", String.raw`a"b\c\d`],
    ],
    ["a backslash is itself outside of quotes", String.raw`php App\Worker`, ["php", String.raw`App\Worker`]],
    ["a backslash is itself in single quotes", String.raw`php 'a\"'`, ["php", String.raw`a\"`]],
    ["blank is no word at all", "  ", []],
  ])("[POOL-9] %s", (_, line, words) => {
    expect(splitWords(line)).toEqual(words);
  });

  test("a quote that is not closed makes it no command", () => {
    expect(splitWords("php 'worker.php")).toBeUndefined();
  });
});
