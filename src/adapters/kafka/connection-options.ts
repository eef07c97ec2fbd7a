import type { InvalidPipelineError } from "../../domain/errors.ts";
import type { OptionSection } from "./option-section.ts";

/** How to reach the cluster and who we are there. */
export interface ConnectionOptions {
  /** `host:port`, at least one. */
  readonly brokers: readonly string[];
  readonly tls: TlsOptions | undefined;
  readonly sasl: SaslOptions | undefined;
  readonly connectTimeoutMs: number;
  readonly pingTimeoutMs: number;
}

/** Paths of PEM files; empty where there is none. */
export interface TlsOptions {
  readonly rootCa: string;
  readonly cert: string;
  readonly key: string;
}

export type SaslOptions =
  | { readonly t: "plain"; readonly username: string; readonly password: string; readonly authorizationId: string }
  | ScramOptions
  | AwsOptions;

export interface ScramOptions {
  readonly t: "scram";
  readonly digest: "sha256" | "sha512";
  readonly username: string;
  readonly password: string;
  readonly authorizationId: string;
  /** Empty: random. */
  readonly nonce: Uint8Array;
  /** The password is a delegation token. */
  readonly isToken: boolean;
}

export interface AwsOptions {
  readonly t: "aws";
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  readonly userAgent: string;
}

const TLS_KEYS = ["timeout", "key", "cert", "root_ca", "client_auth_type", "enabled"] as const;
const CLIENT_AUTH_TYPES = [
  "no_client_cert",
  "no_client_certs",
  "request_client_cert",
  "require_any_client_cert",
  "verify_client_cert_if_given",
  "require_and_verify_client_cert",
] as const;
const SASL_KEYS = [
  "mechanism",
  "username",
  "password",
  "zid",
  "nonce",
  "is_token",
  "access_key",
  "secret_key",
  "session_token",
  "user_agent",
] as const;

const DEFAULT_PORT = 9092;

/** @throws {InvalidPipelineError} a value that can not be used */
export function parseConnection(options: OptionSection, declared: boolean): ConnectionOptions {
  const brokers = options.list("brokers").map((broker) => withPort(broker, options));
  if (brokers.length === 0) throw options.refuse("brokers", "config erroneously has no seed brokers");
  const tls = options.section("tls");
  tls?.warnUnknown(TLS_KEYS);
  const ping = options.section("ping");
  ping?.warnUnknown(["timeout"]);
  return {
    brokers,
    tls: tls === undefined ? undefined : tlsOf(tls),
    sasl: saslOf(options, declared),
    connectTimeoutMs: tls?.durationMs("timeout", 10_000, false) ?? 10_000,
    pingTimeoutMs: ping?.durationMs("timeout", 10_000, false) ?? 10_000,
  };
}

function withPort(broker: string, options: OptionSection): string {
  const text = broker.replace(/^\w+:\/\//, "");
  const match = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text);
  const port = Number(match?.[2] ?? DEFAULT_PORT);
  if (match === null || port < 1 || port > 65_535) {
    throw options.refuse("brokers", `expected host:port, got ${JSON.stringify(broker)}`);
  }
  return `${match[1] ?? ""}:${port}`;
}

/** `tls: {}` and `enabled: true` mean the certificate authorities of the system. */
function tlsOf(section: OptionSection): TlsOptions | undefined {
  const key = section.text("key", "");
  const cert = section.text("cert", "");
  const rootCa = section.text("root_ca", "");
  if ((key === "") !== (cert === "")) {
    throw section.refuse(key === "" ? "key" : "cert", "key and cert belong together, set both or none");
  }
  const clientAuth = section.text("client_auth_type", "no_client_cert");
  if (section.has("client_auth_type")) {
    const known = CLIENT_AUTH_TYPES.some((type) => type === clientAuth);
    section.warn(
      "client_auth_type",
      known ? "has no effect for a client" : `unknown type ${JSON.stringify(clientAuth)}`,
    );
  }
  return section.bool("enabled", true) ? { key, cert, rootCa } : undefined;
}

function saslOf(options: OptionSection, declared: boolean): SaslOptions | undefined {
  const section = options.section("sasl");
  if (section === undefined) return undefined;
  section.warnUnknown(SASL_KEYS);
  const mechanism = section.text("mechanism", "");
  const username = section.text("username", "");
  const password = section.text("password", "");
  const authorizationId = section.text("zid", "");
  switch (mechanism) {
    case "plain":
      return { t: "plain", username, password, authorizationId };
    case "SCRAM-SHA-256":
    case "SCRAM-SHA-512":
      return {
        t: "scram",
        digest: mechanism === "SCRAM-SHA-256" ? "sha256" : "sha512",
        username,
        password,
        authorizationId,
        // A text in a file, base64 in the JSON of Declare, as Go reads bytes.
        nonce: Buffer.from(section.text("nonce", ""), declared ? "base64" : "utf8"),
        isToken: section.bool("is_token", false),
      };
    case "aws_msk_iam":
      return awsOf(section);
    default:
      throw unknownMechanism(section, mechanism);
  }
}

function awsOf(section: OptionSection): AwsOptions {
  // The keys of the configuration win; the rest of RoadRunner's chain (profiles, instance metadata) is not there.
  const accessKey = section.text("access_key", process.env["AWS_ACCESS_KEY_ID"] ?? "");
  const secretKey = section.text("secret_key", process.env["AWS_SECRET_ACCESS_KEY"] ?? "");
  if (accessKey === "" || secretKey === "") {
    const text = "aws_msk_iam needs access_key and secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    throw section.refuse("access_key", text);
  }
  const sessionToken = section.text(
    "session_token",
    section.has("access_key") ? "" : (process.env["AWS_SESSION_TOKEN"] ?? ""),
  );
  return { t: "aws", accessKey, secretKey, sessionToken, userAgent: section.text("user_agent", "jobsd") };
}

function unknownMechanism(section: OptionSection, mechanism: string): InvalidPipelineError {
  const known = "plain, SCRAM-SHA-256, SCRAM-SHA-512, aws_msk_iam";
  const text = `unknown SASL authorization mechanism: ${mechanism} (known: ${known}; OAUTHBEARER is not supported)`;
  return section.refuse("mechanism", text);
}
