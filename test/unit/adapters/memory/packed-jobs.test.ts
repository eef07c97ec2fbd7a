import { describe, expect, test } from "@jest/globals";
import { estimateBytes, JOB_OVERHEAD_BYTES, PackedJobs } from "../../../../src/adapters/memory/packed-jobs.ts";
import { MAX_SPARSE_SLABS, SLAB_BYTES } from "../../../../src/adapters/memory/slab-store.ts";
import { NO_HEADERS, toHeaders } from "../../../../src/domain/job-headers.ts";
import { aJob } from "../../../../src/testing/a-job.ts";

const MIB = 1024 * 1024;

describe("PackedJobs", () => {
  test("an ordinary job costs its id, its payload and a few bytes", () => {
    const packed = new PackedJobs("mails");
    const id = "0b6c1b9e-6f2f-4a53-9d0e-3c0c5a1f7a11";

    packed.add(aJob({ id, payload: new Uint8Array(64) }));

    expect(packed.bytes - JOB_OVERHEAD_BYTES).toBe(id.length + 64 + 27);
  });

  test("the estimate of an unpacked job is close to what it costs", () => {
    const packed = new PackedJobs("mails");
    const job = aJob({ payload: new Uint8Array(500), headers: toHeaders([["trace", ["a", "b"]]]), delaySec: 5 });

    packed.add(job);

    expect(Math.abs(packed.bytes - estimateBytes(job))).toBeLessThan(32);
  });

  test("names that are all different do not pile up", () => {
    const packed = new PackedJobs("mails");
    const handles = Array.from({ length: 5000 }, (_, index) => packed.add(aJob({ name: `app.Job${index}` })));

    const names = handles.map((handle) => packed.read(handle).name);

    expect(names[0]).toBe("app.Job0");
    expect(names[4999]).toBe("app.Job4999");
  });

  test("a payload is a view, not a copy", () => {
    const packed = new PackedJobs("mails");
    const handle = packed.add(aJob({ payload: Uint8Array.of(1) }));

    const [first, second] = [packed.read(handle).payload, packed.read(handle).payload];

    expect(first.buffer).toBe(second.buffer);
  });

  test("changed headers leave the payload where it is", () => {
    const packed = new PackedJobs("mails");
    const handle = packed.add(aJob({ payload: Uint8Array.of(1), headers: toHeaders([["a", ["1"]]]) }));
    const before = packed.read(handle);

    packed.replaceHeaders(handle, NO_HEADERS);

    expect(packed.read(handle).payload.byteOffset).toBe(before.payload.byteOffset);
    expect(packed.read(handle).headers).toBe(NO_HEADERS);
    expect(before.headers).toEqual(toHeaders([["a", ["1"]]]));
  });

  test("a few old jobs do not hold the slabs of the many that were removed", () => {
    const packed = new PackedJobs("mails");
    const survivors: number[] = [];
    const others: number[] = [];
    for (let count = 0; count < 100_000; count++) {
      const handle = packed.add(aJob({ id: `j-${count}`, payload: new Uint8Array(1000) }));
      (count % 500 === 0 ? survivors : others).push(handle);
    }

    for (const handle of others) packed.remove(handle);

    expect(packed.heldBytes).toBeLessThan(packed.bytes * 8 + (MAX_SPARSE_SLABS + 5) * SLAB_BYTES + 4 * MIB);
    expect(packed.heldBytes).toBeLessThan(25 * MIB);
    expect(survivors.map((handle) => packed.read(handle).id)).toEqual(survivors.map((_, at) => `j-${at * 500}`));
    for (const handle of survivors) packed.remove(handle);
    expect(packed.bytes).toBe(0);
  });

  test("a view of a job that was moved keeps its bytes", () => {
    const packed = new PackedJobs("mails");
    const view = packed.read(packed.add(aJob({ payload: new Uint8Array(100).fill(7) }))).payload;
    const keep: number[] = [];

    for (let round = 0; round < 60; round++) {
      const handles = Array.from({ length: 1100 }, () => packed.add(aJob({ payload: new Uint8Array(1000).fill(1) })));
      keep.push(...handles.splice(0, 1));
      for (const handle of handles) packed.remove(handle);
    }

    expect(view).toEqual(new Uint8Array(100).fill(7));
    expect(keep.every((handle) => packed.read(handle).payload[0] === 1)).toBe(true);
  });

  test("a quiet pipeline holds less than 64 KiB", () => {
    const packed = new PackedJobs("mails");

    packed.add(aJob());

    expect(packed.heldBytes).toBeLessThan(64 * 1024);
  });

  test("clear forgets everything and leaves what was read as it is", () => {
    const packed = new PackedJobs("mails");
    const view = packed.read(packed.add(aJob({ payload: Uint8Array.of(5) }))).payload;

    packed.clear();
    packed.add(aJob({ payload: Uint8Array.of(6) }));

    expect(view).toEqual(Uint8Array.of(5));
    expect(packed.size).toBe(1);
  });
});
