import { describe, expect, test } from "@jest/globals";
import { BeanstalkCodec, type BeanstalkItem, jobFromItem } from "../../src/adapters/beanstalk/beanstalk-message.ts";
import { GOB, itemOf } from "./beanstalk-golden.ts";

function plain(item: BeanstalkItem | undefined): unknown {
  return item === undefined ? undefined : { ...item, payload: Buffer.from(item.payload).toString("hex") };
}

function decode(hex: string): unknown {
  return plain(new BeanstalkCodec().decode(Buffer.from(hex, "hex")));
}

describe("bodies as Go writes them", () => {
  test.each(GOB.vectors)("[BEAN-14] $name is read with every field", (vector) => {
    expect(decode(vector.hex)).toEqual(plain(itemOf(vector)));
  });

  const writable = GOB.vectors.filter(
    ({ layout, headers }) => layout === "v6" && Object.keys(headers ?? {}).length <= 1,
  );
  test.each(writable)("[BEAN-14] $name is written byte for byte", (vector) => {
    const body = new BeanstalkCodec().encode(itemOf(vector));

    expect(body.toString("hex")).toBe(vector.hex);
    expect(body.toString("hex").startsWith(GOB.canonical_prefix_v6_hex)).toBe(true);
  });

  test("[BEAN-14] all generations are read by one codec, in any order", () => {
    const codec = new BeanstalkCodec();
    for (const vector of [...GOB.vectors, ...GOB.vectors.toReversed()]) {
      expect(plain(codec.decode(Buffer.from(vector.hex, "hex")))).toEqual(plain(itemOf(vector)));
    }
  });

  test.each(GOB.raw_bodies)("[BEAN-15] $name is somebody else's", ({ hex }) => {
    expect(decode(hex)).toBeUndefined();
  });

  test("[BEAN-15] one known field makes an item", () => {
    const oddity = GOB.accepted_oddities.find(({ name }) => name === "gob-partial-struct");

    expect(decode(oddity?.hex ?? "")).toEqual(
      plain({ job: "", ident: "", payload: Buffer.from("pp"), headers: undefined, options: undefined }),
    );
  });

  test("[BEAN-15] bytes behind the value are ignored", () => {
    const oddity = GOB.accepted_oddities.find(({ name }) => name === "trailing-garbage");
    const typical = GOB.vectors.find(({ name }) => name === "v6-typical");

    expect(decode(oddity?.hex ?? "")).toEqual(decode(typical?.hex ?? ""));
  });

  test("a payload that was written as text keeps its bytes", () => {
    const vector = GOB.vectors.find(({ layout }) => layout === "v2");
    const payload = Buffer.from(vector?.payload_base64 ?? "", "base64");
    const binary = Buffer.from(payload);
    binary.fill(0xff);
    const hex = (vector?.hex ?? "").replace(payload.toString("hex"), binary.toString("hex"));

    expect(decode(hex)).toMatchObject({ payload: binary.toString("hex") });
  });
});

describe("jobs from bodies", () => {
  const source = { pipeline: "own", tube: "tube", id: "7" };

  test("[BEAN-18] priorities survive, up to the limits of 64 bits", () => {
    const codec = new BeanstalkCodec();
    for (const priority of [-1, 0, 1, 2 ** 53 - 1, 2n ** 63n - 1n, -(2n ** 63n)]) {
      const item = { job: "j", ident: "i", payload: Buffer.alloc(0), headers: undefined };
      const options = { priority, pipeline: "p", delay: 0, autoAck: false, queue: "" };
      const read = codec.decode(codec.encode({ ...item, options }));

      expect(read?.options?.priority).toBe(priority);
      expect(jobFromItem(read ?? { ...item, options: undefined }, source).priority).toBe(Number(priority));
    }
  });

  test("an empty pipeline becomes the own one, another one is kept", () => {
    const named = GOB.vectors.find(({ name }) => name === "v6-typical");
    const nameless = GOB.vectors.find(({ name }) => name === "v6-nil-options");
    const codec = new BeanstalkCodec();

    const pipelines = [named, nameless].map((vector) => {
      const item = codec.decode(Buffer.from(vector?.hex ?? "", "hex"));
      return item === undefined ? undefined : jobFromItem(item, source).pipeline;
    });

    expect(pipelines).toEqual(["test-1", "own"]);
  });

  test("[BEAN-17] every byte and any text come through unchanged", () => {
    const codec = new BeanstalkCodec();
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_value, index) => index));
    const payloads = [everyByte, Buffer.from("RESERVED 1 1\r\nx\r\n"), Buffer.alloc(0), Buffer.from("\r\n\r\n")];
    for (const payload of payloads) {
      const item: BeanstalkItem = {
        job: "App\\Jobs\\Prüfung<日本>",
        ident: "ид-ß-日本-🙂",
        payload,
        headers: Object.assign(Object.create(null) as object, { __proto: ["x"], "X-Ключ": ["é", ""], e: [] }),
        options: { priority: 10, pipeline: "pípeline", delay: 5, autoAck: true, queue: "tube" },
      };
      expect(plain(codec.decode(codec.encode(item)))).toEqual(plain(item));
    }
  });
});
