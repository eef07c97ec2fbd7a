/** Where references get their values from. */
export interface ExpansionSource {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Text of a file named by `${file:PATH}`. @throws if it can not be read */
  readSecret(path: string): string;
}

/** What went wrong while a value was expanded. */
export interface ExpansionReport {
  /** `NAME` is not set and there is no default: the reference became empty. */
  unset(name: string): void;
  /** A `${` has no `}`: the two characters were dropped, as RoadRunner does. */
  unterminated(): void;
  /** The value can not be used. */
  invalid(message: string): void;
}

/**
 * `\$` and `$$` are a literal `$`; `${…}` ends at the first `}`; a bare name starts with a letter or `_`. Everything
 * else that starts with `$` (`$1`, `$?`, a `$` at the end) is left alone.
 */
const REFERENCE = /\\\$|\$\$|\$\{([^}]*)\}|\$\{|\$([A-Za-z_]\w*)/g;

/**
 * Replaces references to the environment in one value: `$NAME`, `${NAME}`, `${NAME:-default}` (also if it is empty),
 * `${NAME:?text}` (an error with that text) and `${file:PATH}` (contents of a file without its last newline).
 */
export function expandText(text: string, source: ExpansionSource, report: ExpansionReport): string {
  if (!text.includes("$")) return text;
  return text.replaceAll(REFERENCE, (whole: string, braced: string | undefined, bare: string | undefined) => {
    if (bare !== undefined) return variable(bare, source, report);
    if (braced !== undefined) return reference(braced, source, report);
    if (whole !== "${") return "$";
    report.unterminated();
    return "";
  });
}

function reference(inner: string, source: ExpansionSource, report: ExpansionReport): string {
  if (inner === "") return "";
  if (inner.startsWith("file:")) return secret(inner.slice("file:".length), source, report);
  const split = /:[-?]/.exec(inner);
  if (split === null) return variable(inner, source, report);
  const name = inner.slice(0, split.index);
  const rest = inner.slice(split.index + 2);
  const value = lookUp(name, source);
  if (value !== undefined && value !== "") return value;
  if (split[0] === ":-") return rest;
  report.invalid(`${name}: ${rest === "" ? "must be set in the environment" : rest}`);
  return "";
}

function variable(name: string, source: ExpansionSource, report: ExpansionReport): string {
  const value = lookUp(name, source);
  if (value === undefined) report.unset(name);
  return value ?? "";
}

function lookUp(name: string, source: ExpansionSource): string | undefined {
  return Object.hasOwn(source.env, name) ? source.env[name] : undefined;
}

function secret(path: string, source: ExpansionSource, report: ExpansionReport): string {
  try {
    return source.readSecret(path).replace(/\r?\n$/, "");
  } catch (error) {
    report.invalid(`can not read ${path}: ${error instanceof Error ? error.message : String(error)}`);
    return "";
  }
}
