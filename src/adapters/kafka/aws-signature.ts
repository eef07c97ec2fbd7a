import { createHash, createHmac } from "node:crypto";
import type { AwsOptions } from "./connection-options.ts";

const SERVICE = "kafka-cluster";
const ACTION = "kafka-cluster:Connect";
const VALID_SEC = "900";
const ALGORITHM = "AWS4-HMAC-SHA256";

/**
 * What Amazon's MSK takes for a password: a signed request for the right to connect, as JSON (Signature Version 4).
 *
 * @param host the broker's name; it contains the region
 */
export function awsSignedPayload(options: AwsOptions, host: string, now: Date): string {
  const region = regionOf(host);
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const date = time.slice(0, 8);
  const scope = `${date}/${region}/${SERVICE}/aws4_request`;
  const query: Record<string, string> = {
    Action: ACTION,
    "X-Amz-Algorithm": ALGORITHM,
    "X-Amz-Credential": `${options.accessKey}/${scope}`,
    "X-Amz-Date": time,
    "X-Amz-Expires": VALID_SEC,
    ...(options.sessionToken === "" ? {} : { "X-Amz-Security-Token": options.sessionToken }),
    "X-Amz-SignedHeaders": "host",
  };
  const canonicalQuery = Object.entries(query)
    .map(([name, value]) => `${encoded(name)}=${encoded(value)}`)
    .sort()
    .join("&");
  const request = ["GET", "/", canonicalQuery, `host:${host}`, "", "host", sha256("")].join("\n");
  const text = [ALGORITHM, time, scope, sha256(request)].join("\n");
  const key = [date, region, SERVICE, "aws4_request"].reduce<Buffer>(
    (parent, part) => hmac(parent, part),
    Buffer.from(`AWS4${options.secretKey}`),
  );
  const fields = Object.entries(query).map(([name, value]) => [name.toLowerCase(), value]);
  return JSON.stringify({
    version: "2020_10_22",
    host,
    "user-agent": options.userAgent,
    ...(Object.fromEntries(fields) as Record<string, string>),
    "x-amz-signature": hmac(key, text).toString("hex"),
  });
}

/** `b-1.name.abc.c2.kafka.eu-west-1.amazonaws.com` and the like. */
function regionOf(host: string): string {
  const match = /\.([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$/.exec(host);
  const region = match?.[1] ?? process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"];
  if (region === undefined) throw new Error(`aws_msk_iam: ${host} names no region, set AWS_REGION`);
  return region;
}

function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
