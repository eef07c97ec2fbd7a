import { describe, expect, test } from "@jest/globals";
import { StderrLines } from "../../../../src/adapters/php-pool/stderr-lines.ts";

function linesOf(chunks: readonly (string | Buffer)[]): { readonly lines: string[]; readonly stderr: StderrLines } {
  const lines: string[] = [];
  const stderr = new StderrLines((line) => lines.push(line));
  for (const chunk of chunks) stderr.push(Buffer.from(chunk));
  return { lines, stderr };
}

describe("stderr of a worker", () => {
  test("is reported by line, whatever chunks it comes in", () => {
    const { lines } = linesOf(["fir", "st\nsecond\r\nthi", "rd\n\n"]);

    expect(lines).toEqual(["first", "second", "third"]);
  });

  test("keeps characters whole that are cut by a chunk", () => {
    const bytes = Buffer.from("ж€😀\n");

    const { lines } = linesOf([bytes.subarray(0, 1), bytes.subarray(1, 4), bytes.subarray(4, 7), bytes.subarray(7)]);

    expect(lines).toEqual(["ж€😀"]);
  });

  test("reports a last line without line feed at the end", () => {
    const { lines, stderr } = linesOf(["PHP Fatal error"]);

    expect(lines).toEqual([]);
    stderr.end();
    expect(lines).toEqual(["PHP Fatal error"]);
  });

  test("reports a line above 64 KiB in pieces and loses nothing of it", () => {
    const text = `${"x".repeat(64 * 1024 - 1)}😀${"y".repeat(1024 * 1024)}`;

    const { lines, stderr } = linesOf([text]);
    stderr.end();

    expect(lines.join("")).toBe(text);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(64 * 1024);
  });

  test("a whole long line in one chunk is cut as well", () => {
    const { lines } = linesOf([`${"x".repeat(100_000)}\nshort\n`]);

    expect(lines.map((line) => line.length)).toEqual([65_536, 34_464, 5]);
  });

  test("remembers the last 20 lines, long ones cut", () => {
    const { stderr } = linesOf([
      ...Array.from({ length: 30 }, (_, index) => `line ${index}\n`),
      `${"x".repeat(5000)}\n`,
    ]);

    expect(stderr.tail).toHaveLength(20);
    expect(stderr.tail[0]).toBe("line 11");
    expect(stderr.tail[19]).toHaveLength(2049);
  });
});
