import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { SqsDriverFactory } from "../../../src/adapters/sqs/sqs-driver-factory.ts";
import type { SqsAccess } from "../../../src/adapters/sqs/sqs-client.ts";
import { SystemClock } from "../../../src/adapters/system/system-clock.ts";
import { SystemRandom } from "../../../src/adapters/system/system-random.ts";
import { UuidGenerator } from "../../../src/adapters/system/uuid.ts";
import { PipelineSettings } from "../../../src/domain/pipeline-settings.ts";
import { aJob } from "../../../src/testing/a-job.ts";
import { aPipeline } from "../../../src/testing/a-pipeline.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { FakeMetrics } from "../../../src/testing/fake-metrics.ts";
import { FakeSink } from "../../../src/testing/fake-sink.ts";
import { describeWithBroker, uniqueName } from "../../support/brokers.ts";
import { HttpFaultProxy } from "../../support/http-fault-proxy.ts";
import { bytesOf } from "./sqs-fixture.ts";

const VARIABLES = [
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_REGION",
  "AWS_DEFAULT_REGION",
  "AWS_ENDPOINT_URL",
  "AWS_ENDPOINT_URL_SQS",
] as const;

describeWithBroker("sqs", "[SQS-40] credentials, region and endpoint", ({ address }) => {
  let proxy: HttpFaultProxy;
  let log: FakeLogger;
  const saved = new Map<string, string | undefined>();

  beforeEach(async () => {
    proxy = await HttpFaultProxy.start(address);
    log = new FakeLogger();
    for (const name of VARIABLES) {
      saved.set(name, process.env[name]);
      Reflect.deleteProperty(process.env, name);
    }
  });

  afterEach(async () => {
    for (const [name, value] of saved) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    await proxy.shut();
  });

  /** Pushes a job, and tells how the request was signed. */
  async function signed(access: Partial<SqsAccess> | undefined): Promise<{ scope: string; token: unknown }> {
    const empty = { key: "", secret: "", sessionToken: "", region: "", endpoint: "" };
    const factory = new SqsDriverFactory(
      {
        access: access === undefined ? undefined : { ...empty, ...access },
        environment: process.env,
        delayed: "rearm",
      },
      {
        ...{ clock: new SystemClock(), random: new SystemRandom(), ids: new UuidGenerator() },
        ...{ logger: log, metrics: new FakeMetrics() },
      },
    );
    const settings = new PipelineSettings({ queue: uniqueName("signed") });
    const context = { pipeline: aPipeline({ driver: "sqs", settings }), sink: new FakeSink(), timeoutMs: 10_000 };
    const driver = await factory.create(context, AbortSignal.timeout(20_000));
    await driver.push(aJob({ payload: bytesOf("x") }));
    await driver.close(AbortSignal.timeout(10_000));
    const headers = proxy.of("SendMessage").at(-1)?.headers ?? {};
    const scope = /Credential=([^,]*)/.exec(headers.authorization ?? "")?.[1] ?? "";
    return { scope, token: headers["x-amz-security-token"] };
  }

  test("are those of the section, with its token", async () => {
    const access = { key: "SECTIONKEY", secret: "canary-secret", sessionToken: "canary-token", region: "eu-central-1" };

    const { scope, token } = await signed({ ...access, endpoint: proxy.address });

    expect(scope).toMatch(/^SECTIONKEY\/\d{8}\/eu-central-1\/sqs\/aws4_request$/);
    expect(token).toBe("canary-token");
    expect(JSON.stringify(log.records)).not.toContain("canary");
  });

  test("are those of the environment where the section has only one half, which is told", async () => {
    process.env["AWS_ACCESS_KEY_ID"] = "ENVIRONMENTKEY";
    process.env["AWS_SECRET_ACCESS_KEY"] = "canary-secret";

    const { scope } = await signed({ key: "SECTIONKEY", region: "us-west-2", endpoint: proxy.address });

    expect(scope).toMatch(/^ENVIRONMENTKEY\/\d{8}\/us-west-2\//);
    expect(log.messages("warn")).toEqual([
      "sqs.key and sqs.secret go together; the credentials of the environment are used",
    ]);
  });

  test("need no region where there is an endpoint", async () => {
    const { scope } = await signed({ key: "K", secret: "s", endpoint: proxy.address });

    expect(scope).toMatch(/^K\/\d{8}\/us-east-1\//);
  });

  test("can all come from the environment", async () => {
    process.env["AWS_ACCESS_KEY_ID"] = "ENVIRONMENTKEY";
    process.env["AWS_SECRET_ACCESS_KEY"] = "canary-secret";
    process.env["AWS_DEFAULT_REGION"] = "ap-south-1";
    process.env["AWS_ENDPOINT_URL_SQS"] = proxy.address;

    const { scope } = await signed(undefined);

    expect(scope).toMatch(/^ENVIRONMENTKEY\/\d{8}\/ap-south-1\//);
    expect(log.messages("info")).toEqual([
      "No sqs plugin configuration section was found; assuming we're in AWS environment and want to use default values.",
    ]);
    expect(JSON.stringify(log.records)).not.toContain("canary");
  });
});
