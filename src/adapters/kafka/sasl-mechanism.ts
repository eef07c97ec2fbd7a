import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import type { AuthenticationProviderArgs, KafkaConfig, Mechanism } from "kafkajs";
import { promisify } from "node:util";
import { awsSignedPayload } from "./aws-signature.ts";
import type { SaslOptions, ScramOptions } from "./connection-options.ts";

type Authenticate = AuthenticationProviderArgs["saslAuthenticate"];

const KEY_BYTES = { sha256: 32, sha512: 64 } as const;
const MIN_ITERATIONS = 4096;
/** More would let a hostile server keep us busy for minutes. */
const MAX_ITERATIONS = 1_000_000;

const derive = promisify(pbkdf2);

/** What the client is told. Its own mechanisms where they can do it, ours for what they lack. */
export function saslMechanism(options: SaslOptions): NonNullable<KafkaConfig["sasl"]> {
  switch (options.t) {
    case "plain": {
      const { username, password, authorizationId } = options;
      if (authorizationId === "") return { mechanism: "plain", username, password };
      const message = Buffer.from([authorizationId, username, password].join("\0"));
      return own("PLAIN", async (authenticate) => {
        await exchange(authenticate, message);
      });
    }
    case "scram": {
      const { username, password } = options;
      const simple = options.authorizationId === "" && options.nonce.length === 0 && !options.isToken;
      const name = options.digest === "sha256" ? "SCRAM-SHA-256" : "SCRAM-SHA-512";
      if (!simple) return own(name, (authenticate) => scram(options, authenticate));
      if (options.digest === "sha256") return { mechanism: "scram-sha-256", username, password };
      return { mechanism: "scram-sha-512", username, password };
    }
    case "aws":
      return own("AWS_MSK_IAM", async (authenticate, host) => {
        await exchange(authenticate, Buffer.from(awsSignedPayload(options, host, new Date())));
      });
  }
}

function own(mechanism: string, run: (authenticate: Authenticate, host: string) => Promise<void>): Mechanism {
  return {
    mechanism,
    authenticationProvider: ({ host, saslAuthenticate }) => ({
      authenticate: () => run(saslAuthenticate, host),
    }),
  };
}

/** One message and its answer. On the wire both have their length before them. */
async function exchange(authenticate: Authenticate, message: Buffer): Promise<Buffer> {
  const answer = await authenticate<Buffer>({
    request: { encode: () => prefixed(message) },
    response: { decode: (raw) => raw.subarray(4), parse: (data) => data },
  });
  return answer ?? Buffer.alloc(0);
}

function prefixed(message: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(message.length);
  return Buffer.concat([length, message]);
}

/**
 * RFC 5802 with what the client's own has not: an authorization id, a chosen nonce, and delegation tokens.
 *
 * @throws the server refuses, or is not who it says
 */
async function scram(options: ScramOptions, authenticate: Authenticate): Promise<void> {
  const { digest, username, password, authorizationId, isToken } = options;
  const nonce = Buffer.from(options.nonce.length > 0 ? options.nonce : randomBytes(20));
  const clientNonce = nonce.toString("base64").replace(/=+$/, "");
  const header = `n,${authorizationId === "" ? "" : `a=${escaped(authorizationId)}`},`;
  const firstBare = `n=${escaped(username)},r=${clientNonce}${isToken ? ",tokenauth=true" : ""}`;
  const first = (await exchange(authenticate, Buffer.from(header + firstBare))).toString();
  const fields = fieldsOf(first);
  const serverNonce = fields.get("r") ?? "";
  const iterations = Number(fields.get("i"));
  if (!serverNonce.startsWith(clientNonce)) throw new Error("SCRAM: the server's nonce does not continue ours");
  if (!(iterations >= MIN_ITERATIONS && iterations <= MAX_ITERATIONS)) {
    throw new Error(`SCRAM: the server asks for ${fields.get("i") ?? "no"} iterations`);
  }
  const salt = Buffer.from(fields.get("s") ?? "", "base64");
  const salted = await derive(password, salt, iterations, KEY_BYTES[digest], digest);
  const finalBare = `c=${Buffer.from(header).toString("base64")},r=${serverNonce}`;
  const signed = `${firstBare},${first},${finalBare}`;
  const hmac = (key: Buffer, text: string): Buffer => createHmac(digest, key).update(text).digest();
  const clientKey = hmac(salted, "Client Key");
  const signature = hmac(createHash(digest).update(clientKey).digest(), signed);
  const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
  const final = await exchange(authenticate, Buffer.from(`${finalBare},p=${Buffer.from(proof).toString("base64")}`));
  const answer = fieldsOf(final.toString());
  const expected = hmac(hmac(salted, "Server Key"), signed);
  const verifier = Buffer.from(answer.get("v") ?? "", "base64");
  if (answer.has("e")) throw new Error(`SCRAM: ${answer.get("e") ?? ""}`);
  if (verifier.length !== expected.length || !timingSafeEqual(verifier, expected)) {
    throw new Error("SCRAM: the server does not know the password");
  }
}

function escaped(name: string): string {
  return name.replace(/=/g, "=3D").replace(/,/g, "=2C");
}

function fieldsOf(message: string): ReadonlyMap<string, string> {
  return new Map(message.split(",").map((field) => [field.slice(0, 1), field.slice(2)]));
}
