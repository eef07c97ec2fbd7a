/** What is wrong with a file of variables, and in which line. */
export class DotenvError extends Error {
  override readonly name = "DotenvError";
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

type Variables = Readonly<Record<string, string | undefined>>;

const BLANK = /[ \t\r]/;
const REFERENCE = /\\\$|\$\{([A-Z0-9_]+)\}|\$([A-Z0-9_]+)/g;

/**
 * Reads a file of variables as RoadRunner does: `NAME=value`, `NAME: value` or `export NAME=value`, `#` starts a comment
 * at the start of a line and after a space. Single quotes keep everything as it is; in double quotes `\n`, `\r` and
 * `\"` stand for what they say; both may go over several lines. In all but single quotes `$NAME` and `${NAME}` (upper
 * case) stand for an earlier variable of the file, else of the environment; `\$` is a literal `$`.
 *
 * @throws {DotenvError}
 */
export function parseDotenv(text: string, env: Variables): Readonly<Record<string, string>> {
  return new DotenvReader(text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n"), env).read();
}

class DotenvReader {
  readonly #text: string;
  readonly #env: Variables;
  readonly #variables = new Map<string, string>();
  #at = 0;

  constructor(text: string, env: Variables) {
    this.#text = text;
    this.#env = env;
  }

  read(): Readonly<Record<string, string>> {
    while (this.#skipToStatement()) {
      const name = this.#name();
      this.#variables.set(name, this.#value(name));
    }
    return Object.fromEntries(this.#variables);
  }

  /** Skips white space and comments. False at the end of the file. */
  #skipToStatement(): boolean {
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text.charAt(this.#at);
      if (char === "#") this.#at = this.#endOfLine();
      else if (char !== "\n" && !BLANK.test(char)) return true;
    }
    return false;
  }

  #name(): string {
    this.#take(/export[ \t]+(?=[\w.-])/y);
    const name = this.#take(/[\w.-]+/y);
    this.#take(/[ \t]*/y);
    const separator = this.#text.charAt(this.#at);
    if (name === "" || (separator !== "=" && separator !== ":")) {
      const found = separator === "" || separator === "\n" ? "the end of the line" : JSON.stringify(separator);
      const wanted = name === "" ? "a name was expected" : `= was expected after ${name}`;
      throw this.#failure(`${wanted}, not ${found}: write NAME=value`);
    }
    this.#at += 1;
    this.#take(/[ \t]*/y);
    return name;
  }

  #value(name: string): string {
    const quote = this.#text.charAt(this.#at);
    if (quote !== "'" && quote !== '"') return this.#unquoted();
    const end = this.#closing(quote);
    if (end === undefined) throw this.#failure(`the quote of ${name} is not closed`);
    const inner = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    if (quote === "'") return inner;
    const unescaped = inner.replace(/\\([^$])/g, (_, char: string) => {
      if (char === "n") return "\n";
      return char === "r" ? "\r" : char;
    });
    return this.#expanded(unescaped);
  }

  /** Up to a comment or the end of the line. */
  #unquoted(): string {
    const line = this.#text.slice(this.#at, this.#endOfLine());
    this.#at += line.length;
    const comment = /(?:^|\s)#/.exec(line);
    return this.#expanded((comment === null ? line : line.slice(0, comment.index)).trim());
  }

  #expanded(text: string): string {
    return text.replace(REFERENCE, (whole: string, braced: string | undefined, bare: string | undefined) => {
      const name = braced ?? bare;
      return name === undefined ? whole.slice(1) : (this.#variables.get(name) ?? this.#env[name] ?? "");
    });
  }

  #closing(quote: string): number | undefined {
    for (let index = this.#at + 1; index < this.#text.length; index++) {
      const char = this.#text.charAt(index);
      if (char === quote) return index;
      if (char === "\\" && quote === '"') index += 1;
    }
    return undefined;
  }

  #endOfLine(): number {
    const end = this.#text.indexOf("\n", this.#at);
    return end < 0 ? this.#text.length : end;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += taken.length;
    return taken;
  }

  #failure(message: string): DotenvError {
    return new DotenvError(message, this.#text.slice(0, this.#at).split("\n").length);
  }
}
