import { describe, expect, test } from "@jest/globals";
import { AckWindow } from "../../../../src/adapters/amqp/ack-window.ts";

function flush(window: AckWindow): readonly string[] {
  const sent: string[] = [];
  window.flush((tag, multiple) => sent.push(`${tag}${multiple ? "+" : ""}`));
  return sent;
}

describe("acknowledgements of one channel", () => {
  test("everything without a running job below it is one acknowledgement", () => {
    const window = new AckWindow();
    for (const tag of [3, 1, 2]) window.acknowledge(tag);

    expect(flush(window)).toEqual(["3+"]);
    expect(window.hasPending).toBe(false);
  });

  test("[AMQP-37] a job above one that runs is acknowledged alone", () => {
    const window = new AckWindow();
    for (const tag of [1, 2, 4, 5]) window.acknowledge(tag);

    expect(flush(window)).toEqual(["2+", "4", "5"]);
    window.acknowledge(3);
    window.acknowledge(6);
    expect(flush(window)).toEqual(["6+"]);
  });

  test("the tag that is sent is never one that was settled in another way", () => {
    const window = new AckWindow();
    window.acknowledge(1);
    window.settled(2);

    expect(flush(window)).toEqual(["1"]);
    window.acknowledge(3);
    expect(flush(window)).toEqual(["3"]);
  });
});
