import { describe, expect, test } from "@jest/globals";
import { InvalidConfigError } from "../../../../src/domain/errors.ts";
import { toArgv } from "../../../../src/adapters/php-pool/worker-command.ts";

const noFile = (): boolean => false;

describe("the command of a worker", () => {
  test.each<[string, string | readonly string[], readonly string[]]>([
    ["a string is split at white space", " php \t worker.php\n", ["php", "worker.php"]],
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
    ["a list of two is taken as it is", ["php", "my 'worker'.php"], ["php", "my 'worker'.php"]],
    ["a list of one is split", ["php worker.php"], ["php", "worker.php"]],
  ])("[POOL-9] %s", (_, command, argv) => {
    expect(toArgv("server.command", command, noFile)).toEqual(argv);
  });

  test("[POOL-9] a list of one that names a file is taken as it is", () => {
    const exists = (path: string): boolean => path === "/srv/my worker";

    expect(toArgv("server.command", ["/srv/my worker"], exists)).toEqual(["/srv/my worker"]);
  });

  test.each<[string, string | readonly string[]]>([
    ["empty", ""],
    ["blank", "  "],
    ["an empty list", []],
  ])("%s is refused with RoadRunner's text", (_, command) => {
    expect(() => toArgv("pool.command", command, noFile)).toThrow(/pool\.command: command should not be empty/);
  });

  test("a quote that is not closed is refused", () => {
    expect(() => toArgv("server.command", "php 'worker.php", noFile)).toThrow(InvalidConfigError);
  });
});
