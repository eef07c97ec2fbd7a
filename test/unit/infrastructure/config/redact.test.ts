import { describe, expect, test } from "@jest/globals";
import { redacted } from "../../../../src/infrastructure/config/redact.ts";

describe("redacted", () => {
  test("values of keys that are named like secrets are masked, at any depth", () => {
    const value = {
      sqs: { key: "AKIA", secret: "s", session_token: "t", region: "eu" },
      kafka: { sasl: { username: "u", password: "p", access_key: "a" } },
      otel: { headers: { "x-honeycomb-team": "h" } },
      server: { env: { DB_PASSWORD: "p", API_TOKEN: "t", APP_ENV: "prod" } },
      list: [{ secret: "s" }],
      nats: { nkey_seed: "SU..." },
    };

    const text = JSON.stringify(redacted(lower(value)));

    expect(JSON.parse(text)).toEqual({
      sqs: { key: M, secret: M, session_token: M, region: "eu" },
      kafka: { sasl: { username: "u", password: M, access_key: M } },
      otel: { headers: { "x-honeycomb-team": M } },
      server: { env: { db_password: M, api_token: M, app_env: "prod" } },
      list: [{ secret: M }],
      nats: { nkey_seed: M },
    });
  });

  test.each([
    ["amqp://guest:pass@127.0.0.1:5672/", `amqp://guest:[redacted]@127.0.0.1:5672/`],
    ["amqp://guest:p@ss@host", "amqp://guest:[redacted]@host"],
    ["redis://:pass@host", "redis://:[redacted]@host"],
    ["nats://t0ken@127.0.0.1:4222", "nats://[redacted]@127.0.0.1:4222"],
    ["tcp://127.0.0.1:6001", "tcp://127.0.0.1:6001"],
    ["php worker.php --password=x", "php worker.php --password=[redacted]"],
    ["user@example.org", "user@example.org"],
  ])("%s", (text, masked) => {
    expect(redacted({ addr: text })).toEqual({ addr: masked });
  });

  test("what is no secret stays: routing keys, empty texts, numbers", () => {
    const value = { routing_key: "r", password: "", num_workers: 4, monkey: "m", compass: "n" };

    expect(redacted(value)).toEqual(value);
  });
});

const M = "[redacted]";

function lower(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key.toLowerCase(), lower(child)]));
}
