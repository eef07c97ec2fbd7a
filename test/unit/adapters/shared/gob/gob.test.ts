import { describe, expect, test } from "@jest/globals";
import { GobDecoder } from "../../../../../src/adapters/shared/gob/gob-decoder.ts";
import { GobEncoder } from "../../../../../src/adapters/shared/gob/gob-encoder.ts";
import {
  GOB_BOOL,
  GOB_BYTES,
  GOB_FLOAT,
  GOB_INT,
  GOB_STRING,
  GOB_UINT,
  GobError,
  type GobStruct,
  type GobType,
} from "../../../../../src/adapters/shared/gob/gob-type.ts";

const STRINGS: GobType = { t: "slice", name: "", elem: GOB_STRING };
const POINT: GobStruct = {
  t: "struct",
  name: "Point",
  fields: [
    { name: "X", type: GOB_INT },
    { name: "Y", type: GOB_INT },
  ],
};

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

function encoded(type: GobType, value: unknown): string {
  return new GobEncoder(type).encode(value).toString("hex");
}

function decoded(stream: string | Buffer): unknown {
  return new GobDecoder().decode(typeof stream === "string" ? hex(stream) : stream).value;
}

describe("writing gob", () => {
  test("built-in values stand behind a zero byte, without a definition", () => {
    expect(encoded(GOB_BOOL, true)).toBe("03020001");
    expect(encoded(GOB_BOOL, false)).toBe("03020000");
    expect(encoded(GOB_STRING, "jobs")).toBe("070c00046a6f6273");
    expect(encoded(GOB_BYTES, Buffer.from("abc"))).toBe("060a0003616263");
  });

  test("a list is preceded by the definition of its type", () => {
    expect(encoded(STRINGS, ["jobs"])).toBe("0cff81020102ff8200010c000009ff820001046a6f6273");
  });

  test("a struct has its fields' distances, leaves zeros out and ends with a zero", () => {
    // Go's own example, from the documentation of encoding/gob.
    expect(encoded(POINT, { X: 22, Y: 33 })).toBe(
      "1f ff81 03 01 01 05 506f696e74 01 ff82 00 01 02 01 01 58 01 04 00 01 01 59 01 04 00 00 00 07 ff82 01 2c 01 42 00".replaceAll(
        " ",
        "",
      ),
    );
    expect(encoded(POINT, { Y: 33 }).endsWith("05ff82024200")).toBe(true);
    expect(encoded(POINT, {}).endsWith("03ff8200")).toBe(true);
  });

  test.each([
    [0, "03060000"],
    [127, "0306007f"],
    [128, "040600ff80"],
    [256, "050600fe0100"],
    [65536, "060600fd010000"],
    [2 ** 32, "080600fb0100000000"],
    [2 ** 40, "090600fa010000000000"],
    [2n ** 64n - 1n, "0b0600f8ffffffffffffffff"],
  ])("unsigned %p", (value, expected) => {
    expect(encoded(GOB_UINT, value)).toBe(expected);
    expect(decoded(expected)).toBe(value);
  });

  test.each([0, 1, -1, 63, 64, -64, -65, 2 ** 31, -(2 ** 40), 2 ** 53 - 1, -(2n ** 63n), 2n ** 63n - 1n])(
    "signed %p is read as it was written",
    (value) => {
      expect(decoded(new GobEncoder(GOB_INT).encode(value))).toBe(value);
    },
  );

  test.each([0.5, -1, 17, 1e300, -0.1])("the double %p is read as it was written", (value) => {
    expect(decoded(new GobEncoder(GOB_FLOAT).encode(value))).toBe(value);
  });

  test.each([41, 42, 43, 127, 128, 5000])("texts of %p characters, with and without accents", (length) => {
    for (const text of ["a".repeat(length), "é".repeat(length), "日".repeat(length), "🙂".repeat(length)]) {
      expect(decoded(new GobEncoder(GOB_STRING).encode(text))).toBe(text);
    }
  });

  test("a value that does not fit its type is refused", () => {
    expect(() => new GobEncoder(GOB_INT).encode(1.5)).toThrow(GobError);
    expect(() => new GobEncoder(GOB_INT).encode(2n ** 63n)).toThrow(GobError);
    expect(() => new GobEncoder(GOB_UINT).encode(2n ** 64n)).toThrow(GobError);
    expect(() => new GobEncoder(GOB_STRING).encode(5)).toThrow(GobError);
    expect(() => new GobEncoder(GOB_BYTES).encode("text")).toThrow(GobError);
    expect(() => new GobEncoder(STRINGS).encode("text")).toThrow(GobError);
    expect(() => new GobEncoder(POINT).encode(undefined)).toThrow(GobError);
    expect(() => new GobEncoder({ t: "map", name: "", key: GOB_STRING, elem: GOB_INT }).encode(1)).toThrow(GobError);
    expect(() => new GobEncoder({ t: "interface" })).toThrow(GobError);
    expect(() => new GobEncoder({ t: "opaque", name: "Time" })).toThrow(GobError);
  });
});

describe("reading gob", () => {
  test("lists of structs with nested maps keep everything", () => {
    const type: GobType = {
      t: "slice",
      name: "[]Worker",
      elem: {
        t: "struct",
        name: "Worker",
        fields: [
          { name: "Pid", type: GOB_INT },
          { name: "Tags", type: { t: "map", name: "", key: GOB_STRING, elem: STRINGS } },
          { name: "At", type: POINT },
          { name: "Busy", type: GOB_BOOL },
        ],
      },
    };
    const value = [{ Pid: 7, Tags: new Map([["a", ["1", ""]]]), At: { X: 1 }, Busy: true }, {}];

    expect(decoded(new GobEncoder(type, 70).encode(value))).toEqual([
      { Pid: 7, Tags: new Map([["a", ["1", ""]]]), At: { X: 1 }, Busy: true },
      {},
    ]);
  });

  test("tells the type that the stream defines", () => {
    expect(new GobDecoder().decode(new GobEncoder(POINT).encode({ X: 1 })).type).toEqual(POINT);
  });

  test("ids of types are the sender's choice, and one decoder reads many senders", () => {
    const decoder = new GobDecoder();
    for (const first of [64, 65, 65, 300, 64, 70_000]) {
      expect(decoder.decode(new GobEncoder(POINT, first).encode({ X: first })).value).toEqual({ X: first });
    }
  });

  test("a stream that begins as the last one may define more", () => {
    const decoder = new GobDecoder();
    const plain = new GobEncoder(POINT, 65);
    decoder.decode(plain.encode({ X: 1 }));
    const more = new GobEncoder(STRINGS, 70);
    const stream = Buffer.concat([plain.definitions, more.encode(["x"])]);

    expect(decoder.decode(stream).value).toEqual(["x"]);
    expect(decoder.decode(plain.encode({ Y: 2 })).value).toEqual({ Y: 2 });
  });

  test("values of kinds we never write are read over", () => {
    // struct{A time.Time; B any; C complex128; D [2]int; E string} with ids 65…67, by the rules of the format.
    const stream = hex(
      "2d ff81 03 01 01 01 53 01 ff82 00 01 05 01 01 41 01 ff84 00 01 01 42 01 10 00 01 01 43 01 0e 00 01 01 44 01 ff86 00 01 01 45 01 0c 00 00 00" +
        "0b ff83 05 01 01 02 5454 01 ff84 00 00 00".replace("0b", "0c") +
        "0c ff85 01 01 02 ff86 00 01 04 01 04 00 00".replace("0c", "0d") +
        "1a ff82 01 02 aabb 01 03 696e74 04 02 00 0e 01 fe f03f 40 01 02 02 04 01 02 6f6b 00",
    );
    const lengths = fixLengths(stream);

    expect(decoded(lengths)).toMatchObject({ A: Buffer.from("aabb", "hex"), B: undefined, D: [1, 2], E: "ok" });
  });

  test.each([
    ["nothing", ""],
    ["a text", "666f6f6f6261727262617a7a7a"],
    ["a message longer than the stream", "7f0c0004"],
    ["a number of more than 64 bits", "f70102030405060708ff"],
    ["a length past the end of the message", "070c00106a6f6273"],
    ["bytes behind the value in its message", "080c00046a6f627300"],
    ["a type that is not defined", "05ff82010200"],
    ["a value that is not behind a zero", "070c01046a6f6273"],
    ["a type that contains itself", "0bff81020102ff820001ff820000" + "04ff82000100"],
    ["a definition of nothing", "03ff8100" + "03020001"],
    ["a field the type does not have", new GobEncoder(POINT).encode({ X: 1 }).toString("hex").slice(0, -6) + "030200"],
    ["a count that can not be", "09ff81020102ff82000100" + "07ff820000fb7fffffffff"],
  ])("%s is refused", (_name, stream) => {
    expect(() => decoded(stream)).toThrow(GobError);
  });
});

/** The test above writes its messages by hand: their lengths are put in here. */
function fixLengths(stream: Buffer): Buffer {
  const starts = [
    0,
    stream.indexOf(hex("ff83")) - 1,
    stream.indexOf(hex("ff8501")) - 1,
    stream.indexOf(hex("ff820102aabb")) - 1,
  ];
  for (const [index, start] of starts.entries()) {
    stream[start] = (starts[index + 1] ?? stream.length) - start - 1;
  }
  return stream;
}
