/** A value of any codec: what JSON and MessagePack are read to, and what replies are written from. */
export type Plain =
  null | boolean | number | bigint | string | Uint8Array | readonly Plain[] | { readonly [name: string]: Plain };

/** Type of a value in the original, where it decides how gob and JSON look. */
export type GoType =
  | { readonly t: "bool" | "int" | "uint" | "float" | "bytes" | "string" }
  | { readonly t: "slice"; readonly name: string; readonly elem: GoType }
  | { readonly t: "struct"; readonly name: string; readonly fields: readonly GoField[] };

export interface GoField {
  /** Name of the field: the key in MessagePack and gob. */
  readonly name: string;
  /** The key in JSON. */
  readonly json: string;
  readonly type: GoType;
}

export const GO_BOOL: GoType = { t: "bool" };
export const GO_INT: GoType = { t: "int" };
export const GO_UINT: GoType = { t: "uint" };
export const GO_FLOAT: GoType = { t: "float" };
export const GO_BYTES: GoType = { t: "bytes" };
export const GO_STRING: GoType = { t: "string" };
export const GO_STRINGS: GoType = { t: "slice", name: "", elem: GO_STRING };

/** @param json key in JSON where it is not the name */
export function goField(name: string, type: GoType, json = name): GoField {
  return { name, json, type };
}

/** JSON text of a value as Go writes it: every field, integers as exact literals, bytes as base64. */
export function goJson(type: GoType, value: Plain | undefined): string {
  switch (type.t) {
    case "slice":
      return `[${listOf(value)
        .map((item) => goJson(type.elem, item))
        .join(",")}]`;
    case "struct":
      return `{${type.fields
        .map(({ name, json, type: of }) => `${JSON.stringify(json)}:${goJson(of, memberOf(value, name))}`)
        .join(",")}}`;
    case "bool":
    case "int":
    case "uint":
    case "float":
    case "bytes":
    case "string":
      return plainJson(value ?? null);
  }
}

/** 64-bit integers become exact literals, which `JSON.stringify` can not write. */
export function plainJson(value: Plain): string {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString("base64"));
  return JSON.stringify(value);
}

/** Items of a list, none if it is no list. */
export function listOf(value: Plain | undefined): readonly Plain[] {
  return Array.isArray(value) ? (value as readonly Plain[]) : [];
}

/** A member of a structure, `undefined` if there is none. */
export function memberOf(value: Plain | undefined, name: string): Plain | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    return undefined;
  }
  return (value as Readonly<Record<string, Plain>>)[name];
}
