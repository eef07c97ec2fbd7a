import { describe, expect, test } from "@jest/globals";
import { AnswerGatherer } from "../../../../src/adapters/beanstalk/answer-gatherer.ts";

describe("AnswerGatherer", () => {
  test("passes short answers on as they come", () => {
    const gatherer = new AnswerGatherer();
    const piece = Buffer.from("INSERTED 1\r\nINSERTED 2\r\n");

    expect(gatherer.take(piece)).toBe(piece);
  });

  test("holds the pieces of a body back until the answer is complete, and gives them out once", () => {
    const gatherer = new AnswerGatherer();
    const answer = Buffer.concat([Buffer.from("RESERVED 1 1000\r\n"), Buffer.alloc(1000, "x"), Buffer.from("\r\n")]);
    const first = answer.subarray(0, 100);
    expect(gatherer.take(first)).toBe(first);
    gatherer.waitFor(first);

    const given: Buffer[] = [];
    for (let at = 100; at < answer.length; at += 10) {
      const bytes = gatherer.take(answer.subarray(at, at + 10));
      if (bytes !== undefined) given.push(bytes);
    }

    expect(given.map(({ length }) => length)).toEqual([answer.length - 100]);
    expect(Buffer.concat([first, ...given]).equals(answer)).toBe(true);
  });

  test("what comes behind the answer in its last piece is passed on with it", () => {
    const gatherer = new AnswerGatherer();
    gatherer.waitFor(Buffer.from("OK 4\r\nab"));

    expect(gatherer.take(Buffer.from("c"))).toBeUndefined();
    expect(gatherer.take(Buffer.from("d\r\nDELETED\r\n"))?.toString()).toBe("cd\r\nDELETED\r\n");
  });

  test("a first line that is not complete is waited for", () => {
    const gatherer = new AnswerGatherer();
    gatherer.waitFor(Buffer.from("RESERVED 1"));

    expect(gatherer.take(Buffer.from(" 5\r"))?.length).toBe(3);
  });

  test.each(["RESERVED 1 x\r\n", "RESERVED 1 99999999999\r\n", "HELLO\r\n", "x".repeat(1100)])(
    "%.20s is no answer",
    (bytes) => {
      expect(() => {
        new AnswerGatherer().waitFor(Buffer.from(bytes));
      }).toThrow("the server sent");
    },
  );
});
