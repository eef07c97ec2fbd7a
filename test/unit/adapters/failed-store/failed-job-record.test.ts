import { describe, expect, test } from "@jest/globals";
import {
  decodeIndex,
  decodeRecord,
  encodeIndex,
  encodeRecord,
} from "../../../../src/adapters/failed-store/failed-job-record.ts";
import { toHeaders } from "../../../../src/domain/job-headers.ts";
import { aFailedJob } from "../../../support/failed-jobs.ts";

const ENTRY = aFailedJob(
  "k",
  { error: "boom", attempts: 5, failedAtMs: 1_767_225_600_000, answer: Uint8Array.of(255) },
  {
    id: "1",
    name: "app.Job",
    payload: Uint8Array.of(1, 2, 3),
    headers: toHeaders([["a", ["x", "y"]]]),
    priority: -3,
    kafka: { topic: "t", metadata: "", offset: 9, partition: 2 },
  },
);

/** The bytes of version 1, as they are on the disks of users: a reader of any later version has to read them. */
const VERSION_1 =
  "019d5a9625060100000031070000006170702e4a6f62050000006d61696c73060000006d656d6f727900000000040000006e61636b04000000" +
  "626f6f6d0000000000001440000080aa6db7794200000000000008c000000000000000000100000074000000000000000000002240000000" +
  "0000000040010000000100000061020000000100000078010000007903000000010203" +
  "01000000ff";

describe("a record", () => {
  test("of version 1 is written and read byte for byte", () => {
    expect(encodeRecord(ENTRY).toString("hex")).toBe(VERSION_1);
    const read = decodeRecord("k", Buffer.from(VERSION_1, "hex"));
    expect(encodeRecord(read).toString("hex")).toBe(VERSION_1);
    expect(read).toMatchObject({ key: "k", reason: "nack", attempts: 5, job: { priority: -3, id: "1" } });
  });

  test("that is cut anywhere is refused", () => {
    const record = encodeRecord(ENTRY);

    for (let length = 0; length < record.length; length++) {
      expect(() => decodeRecord("k", record.subarray(0, length))).toThrow(/checksum is wrong|bytes long/);
    }
  });

  test("in which any byte is changed is refused", () => {
    const record = encodeRecord(ENTRY);

    for (let index = 0; index < record.length; index++) {
      const changed = Buffer.from(record);
      changed.writeUInt8((record[index] ?? 0) ^ 0x10, index);
      expect(() => decodeRecord("k", changed)).toThrow(/checksum is wrong|is not known to this version/);
    }
  });

  test("of a later version says so", () => {
    const record = Buffer.from(encodeRecord(ENTRY));
    record.writeUInt8(2, 0);

    expect(() => decodeRecord("k", record)).toThrow("format 2 is not known to this version");
  });
});

test("an index comes back as it was", () => {
  const index = { bytes: 2 ** 40, failedAtMs: 5, pipeline: "mails", reason: "nack" };

  expect(decodeIndex(encodeIndex(index))).toEqual(index);
  expect(() => decodeIndex(Buffer.from("nonsense"))).toThrow();
});
