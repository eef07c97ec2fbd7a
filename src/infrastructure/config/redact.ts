const REDACTED = "[redacted]";

/** Words of a key whose value is a secret. */
const SECRET_WORDS: ReadonlySet<string> = new Set([
  "apikey",
  "auth",
  "authorization",
  "credential",
  "credentials",
  "key",
  "nonce",
  "pass",
  "passphrase",
  "passwd",
  "password",
  "pwd",
  "secret",
  "secrets",
  "seed",
  "token",
  "tokens",
]);

/** Keys that look like secrets and are none. */
const HARMLESS: ReadonlySet<string> = new Set(["routing_key"]);

/** Values of these maps may be anything, credentials as well. */
const SECRET_MAPS: ReadonlySet<string> = new Set(["headers"]);

/** The password of `scheme://user:password@host`. */
const URL_PASSWORD = /\b([a-z][a-z\d+.-]*:\/\/[^\s/:@]*):[^\s@]*(?:@[^\s/@]*)*@/gi;

/** The token of `scheme://token@host`. A user without a password looks the same and is masked as well. */
const URL_TOKEN = /\b([a-z][a-z\d+.-]*:\/\/)[^\s/:@]+@/gi;

/** `--password=…`, `TOKEN=…` and the like inside a text. */
const ASSIGNED_SECRET = /((?:password|passwd|secret|token|api[_-]?key)\s*[=:]\s*)\S+/gi;

/** A copy without secrets: values of keys that are named like one, and passwords inside addresses. */
export function redacted(value: unknown): unknown {
  return redact(value, "");
}

function redact(value: unknown, key: string): unknown {
  if (isSecret(key)) return value === "" || value === null ? value : REDACTED;
  if (typeof value === "string") {
    return value
      .replaceAll(URL_PASSWORD, `$1:${REDACTED}@`)
      .replaceAll(URL_TOKEN, `$1${REDACTED}@`)
      .replaceAll(ASSIGNED_SECRET, `$1${REDACTED}`);
  }
  if (Array.isArray(value)) return value.map((item) => redact(item, key));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [name, SECRET_MAPS.has(key) ? REDACTED : redact(child, name)]),
  );
}

function isSecret(key: string): boolean {
  return !HARMLESS.has(key) && key.split(/[^a-z\d]+/).some((word) => SECRET_WORDS.has(word));
}
