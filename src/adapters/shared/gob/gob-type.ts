/**
 * Types of Go's `encoding/gob`, as far as values of programs we talk to need them. A stream brings the definitions
 * of its types along; receivers match fields by name, so ids and names of types differ from program to program.
 */
export type GobType =
  | { readonly t: "bool" | "int" | "uint" | "float" | "bytes" | "string" | "complex" | "interface" }
  /** `name` is what Go calls the type; receivers do not look at it. */
  | { readonly t: "slice"; readonly name: string; readonly elem: GobType }
  | { readonly t: "array"; readonly name: string; readonly elem: GobType; readonly length: number }
  | { readonly t: "map"; readonly name: string; readonly key: GobType; readonly elem: GobType }
  | GobStruct
  /** A value that marshals itself: opaque bytes. */
  | { readonly t: "opaque"; readonly name: string };

export interface GobStruct {
  readonly t: "struct";
  readonly name: string;
  readonly fields: readonly GobField[];
}

export interface GobField {
  readonly name: string;
  readonly type: GobType;
}

/** Values of a struct by field name. Absent = the zero value of the field, which is not sent. No prototype. */
export type GobObject = Readonly<Record<string, unknown>>;

export const GOB_BOOL: GobType = { t: "bool" };
export const GOB_INT: GobType = { t: "int" };
export const GOB_UINT: GobType = { t: "uint" };
export const GOB_FLOAT: GobType = { t: "float" };
export const GOB_BYTES: GobType = { t: "bytes" };
export const GOB_STRING: GobType = { t: "string" };

/** Ids every stream knows without a definition. */
export const BUILTIN_TYPES: ReadonlyMap<number, GobType> = new Map<number, GobType>([
  [1, GOB_BOOL],
  [2, GOB_INT],
  [3, GOB_UINT],
  [4, GOB_FLOAT],
  [5, GOB_BYTES],
  [6, GOB_STRING],
  [7, { t: "complex" }],
  [8, { t: "interface" }],
]);

/** What a stream can not be, or a value can not be written as. */
export class GobError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "GobError";
  }
}
