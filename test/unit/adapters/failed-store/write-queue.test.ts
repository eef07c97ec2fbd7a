import { expect, test } from "@jest/globals";
import { WriteQueue } from "../../../../src/adapters/failed-store/write-queue.ts";
import { settled } from "../../../../src/testing/fake-clock.ts";

/** A disk that writes when it is told to. */
class SlowDisk {
  readonly batches: (readonly string[])[] = [];
  readonly finish: ((error?: Error) => void)[] = [];

  write = (batch: readonly string[]): Promise<readonly number[]> => {
    this.batches.push(batch);
    return new Promise((resolve, reject) => {
      this.finish.push((error) => {
        if (error === undefined) resolve(batch.map((change) => change.length));
        else reject(error);
      });
    });
  };
}

test("what comes during a write is written together, and each gets its own result", async () => {
  const disk = new SlowDisk();
  const queue = new WriteQueue(disk.write);

  const first = [queue.add("a", 1), queue.add("bb", 1)];
  await settled();
  const later = [queue.add("ccc", 1), queue.add("d", 1), queue.add("ee", 1)];
  disk.finish[0]?.();
  await settled();
  disk.finish[1]?.();

  expect(await Promise.all([...first, ...later])).toEqual([1, 2, 3, 1, 2]);
  expect(disk.batches).toEqual([
    ["a", "bb"],
    ["ccc", "d", "ee"],
  ]);
});

test("a write that fails fails all of its changes and none of the next", async () => {
  const disk = new SlowDisk();
  const queue = new WriteQueue(disk.write);
  const outcomes = Promise.allSettled([queue.add("a", 1), queue.add("b", 1)]);
  await settled();
  const next = queue.add("c", 1);

  disk.finish[0]?.(new Error("disk full"));
  await settled();
  disk.finish[1]?.();

  expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await next).toBe(1);
});

test("a batch has at most 8 MiB or one change", async () => {
  const disk = new SlowDisk();
  const queue = new WriteQueue(disk.write);
  const mebibyte = 1024 * 1024;

  const added = [queue.add("a", 9 * mebibyte), queue.add("b", 5 * mebibyte), queue.add("c", 4 * mebibyte)];
  for (let batch = 0; batch < 3; batch++) {
    await settled();
    disk.finish[batch]?.();
  }
  await Promise.all(added);

  expect(disk.batches).toEqual([["a"], ["b"], ["c"]]);
});

test("what waits is limited: more is refused, and accepted again when there is room", async () => {
  const disk = new SlowDisk();
  const queue = new WriteQueue(disk.write);
  const mebibyte = 1024 * 1024;
  const writing = queue.add("a", 1);
  await settled();
  const waiting = Array.from({ length: 8 }, (_value, index) => queue.add(`w${index}`, 8 * mebibyte));

  await expect(queue.add("b", 1)).rejects.toMatchObject({ code: "JOBS_FAILED_STORE" });
  disk.finish[0]?.();
  await settled();
  const accepted = queue.add("c", 1);
  for (let batch = 1; batch < 10; batch++) {
    disk.finish[batch]?.();
    await settled();
  }

  expect(await Promise.all([writing, ...waiting, accepted])).toHaveLength(10);
  await queue.idle();
});
