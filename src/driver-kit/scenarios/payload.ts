import { JobsError } from "../../domain/errors.ts";
import type { Scenario } from "../scenario.ts";
import type { Stage } from "../stage.ts";
import { rejection } from "../waiting.ts";

const MIB = 1024 * 1024;

/** Pushes a job with this payload and compares what comes. */
async function roundTrip(stage: Stage, payload: Uint8Array): Promise<void> {
  const { driver, inbox } = await stage.open();
  await driver.push(stage.job({ payload }));
  const { job } = await inbox.next(stage.patienceMs);
  // Not compared by the runner: the message about a difference of megabytes would be longer than they are.
  const equal = Buffer.compare(job.payload, payload) === 0;
  stage.expect([job.payload.length, equal]).toEqual([payload.length, true]);
}

/**
 * Bytes of all values, or letters of all kinds, in an order that does not repeat soon, so that lost or swapped blocks are
 * seen.
 */
function pattern({ flags }: Stage, length: number): Uint8Array {
  const text = flags.payloads === "text";
  return Uint8Array.from({ length }, (_, index) => {
    const value = (index * 7 + (index >> 8) * 13 + (index >> 16)) & 0xff;
    return text ? 0x21 + (value % 94) : value;
  });
}

const withoutBytes: Scenario["unless"] = ({ payloads }) =>
  payloads === "text" ? "its payloads are text, any other is refused" : undefined;

/** Payloads are bytes and nothing else. */
export const payloadScenarios: readonly Scenario[] = [
  {
    key: "payload-empty",
    title: "delivers an empty payload as it is",
    unless: withoutBytes,
    run: (stage: Stage): Promise<void> => roundTrip(stage, new Uint8Array(0)),
  },
  {
    key: "payload-one-byte",
    title: "delivers a payload of one zero byte as it is",
    unless: withoutBytes,
    run: (stage: Stage): Promise<void> => roundTrip(stage, new Uint8Array(1)),
  },
  {
    key: "payload-all-bytes",
    title: "delivers a payload of all byte values as it is",
    unless: withoutBytes,
    run: (stage: Stage): Promise<void> =>
      roundTrip(
        stage,
        Uint8Array.from({ length: 256 }, (_, index) => index),
      ),
  },
  {
    key: "payload-not-utf8",
    title: "delivers a payload that is no text as it is",
    unless: withoutBytes,
    run: (stage: Stage): Promise<void> =>
      roundTrip(stage, Uint8Array.of(0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf0, 0x28, 0x8c, 0x28, 0)),
  },
  {
    key: "payload-utf8",
    title: "delivers text of any script and JSON as it is",
    run: (stage: Stage): Promise<void> =>
      roundTrip(stage, Buffer.from('{"s":"Ünïcödé – 日本語 – 👩‍👩‍👧","n":1e3,"nested":{"a":[null,true]}}\r\n\r\n')),
  },
  {
    key: "payload-64k",
    title: "delivers a payload of about 64 KiB as it is",
    run: (stage: Stage): Promise<void> =>
      roundTrip(stage, pattern(stage, Math.min(65_536, stage.flags.largestPayloadBytes))),
  },
  {
    key: "payload-1m",
    title: "delivers a payload of 1 MiB as it is",
    unless: ({ largestPayloadBytes }) =>
      largestPayloadBytes < MIB ? `its largest payload has ${largestPayloadBytes} bytes` : undefined,
    run: (stage: Stage): Promise<void> => roundTrip(stage, pattern(stage, MIB)),
  },
  {
    key: "payload-largest",
    title: "delivers the largest payload it may have as it is",
    limitMs: 120_000,
    run: (stage: Stage): Promise<void> => roundTrip(stage, pattern(stage, stage.flags.largestPayloadBytes)),
  },
  {
    key: "payload-too-large",
    title: "refuses a payload that is too large, for good, and goes on",
    unless: ({ refusedPayloadBytes }) => (refusedPayloadBytes === undefined ? "it refuses no payload" : undefined),
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const payload = pattern(stage, stage.flags.refusedPayloadBytes ?? 0);

      const error = await rejection("push of too large a job", stage.patienceMs, () =>
        driver.push(stage.job({ payload })),
      );

      stage.expect(JobsError.is(error) && !error.retryable).toBe(true);
      await stage.pushAgainAndAgain(driver, stage.job({ id: "small" }));
      const { job } = await inbox.next(stage.patienceMs);
      stage.expect(job.id).toBe("small");
    },
  },
  {
    key: "payload-unchanged",
    title: "does not change the producer's bytes, and keeps none of them for itself",
    async run(stage: Stage): Promise<void> {
      const { driver, inbox } = await stage.open();
      const payload = Buffer.from("before");

      await driver.push(stage.job({ payload }));
      stage.expect(payload.toString()).toBe("before");
      payload.fill("x");

      const { job } = await inbox.next(stage.patienceMs);
      stage.expect(Buffer.from(job.payload).toString()).toBe("before");
    },
  },
];
