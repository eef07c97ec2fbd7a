import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from "kafkajs";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { OptionMap } from "../../../src/adapters/kafka/option-section.ts";
import { ACK } from "../../../src/domain/delivery.ts";
import { Job } from "../../../src/domain/job.ts";
import {
  describeWithPrivateBroker,
  type PrivateBroker,
  startPrivateBroker,
  uniqueName,
} from "../../support/brokers.ts";
import { setScramPassword } from "../../support/kafka-raw.ts";
import { type KafkaPipeline, KafkaWorld, NO_SIGNAL, until } from "../../support/kafka-world.ts";

const TIMEOUT_MS = 240_000;
const SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
const PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_user="secret" user_admin="root";';

describeWithPrivateBroker("kafka", "kafka: TLS and SASL", () => {
  let folder: string;
  let broker: PrivateBroker;
  /** Over the plain listener. */
  let world: KafkaWorld;
  let secure: string;
  const file = (name: string): string => join(folder, name);

  function openssl(...args: readonly string[]): void {
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  }

  /** A key and its certificate, signed by the authority of this test. */
  function certify(name: string): void {
    writeFileSync(file(`${name}.cnf`), "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    openssl(
      "req",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
    );
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}.cnf`];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signed, "-out", `${name}.pem`);
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "jobsd-kafka-tls-"));
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-days",
      "2",
      "-subj",
      "/CN=test",
    );
    certify("server");
    certify("client");
    execFileSync("sh", ["-c", "cat server.key server.pem > both.pem"], { cwd: folder });
    broker = await startPrivateBroker("kafka", {
      lines: [
        "listeners=PLAINTEXT://127.0.0.1:@PORT@,SASL_SSL://127.0.0.1:@TLS_PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@",
        "advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,SASL_SSL://127.0.0.1:@TLS_PORT@",
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users=User:ANONYMOUS",
        "allow.everyone.if.no.acl.found=true",
        "ssl.keystore.type=PEM",
        `ssl.keystore.location=${file("both.pem")}`,
        "ssl.truststore.type=PEM",
        `ssl.truststore.location=${file("ca.pem")}`,
        "ssl.client.auth=requested",
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        `listener.name.sasl_ssl.plain.sasl.jaas.config=${PLAIN}`,
        `listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=${SCRAM}`,
        `listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=${SCRAM}`,
      ],
    });
    world = new KafkaWorld(broker.address);
    secure = `127.0.0.1:${await broker.port("tls")}`;
    await setScramPassword(broker.address, "user", "secret");
  }, TIMEOUT_MS);

  afterAll(async () => {
    await world.dispose();
    await broker.dispose();
    rmSync(folder, { recursive: true, force: true });
  }, TIMEOUT_MS);

  async function reaching(section: OptionMap): Promise<{ readonly pipeline: KafkaPipeline; readonly topic: string }> {
    const topic = await world.topic(1);
    const pipeline = await world.pipeline(
      { consumer_options: { topics: [topic] }, group_options: { group_id: uniqueName("g") } },
      { section: { brokers: [secure], ...section }, timeoutMs: 10_000 },
    );
    pipeline.sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
    return { pipeline, topic };
  }

  const user = { username: "user", password: "secret" };
  test.each<[string, OptionMap]>([
    ["PLAIN", { mechanism: "plain", ...user }],
    ["PLAIN with an authorization id", { mechanism: "plain", ...user, zid: "user" }],
    ["SCRAM-SHA-256", { mechanism: "SCRAM-SHA-256", ...user }],
    ["SCRAM-SHA-512", { mechanism: "SCRAM-SHA-512", ...user }],
    ["SCRAM-SHA-256 with an authorization id", { mechanism: "SCRAM-SHA-256", ...user, zid: "user" }],
    ["SCRAM-SHA-512 with a nonce", { mechanism: "SCRAM-SHA-512", ...user, nonce: "chosen by the user" }],
  ])(
    "[KAFKA-48] a job goes over TLS, with an authority of one's own, and %s",
    async (_, sasl) => {
      const { pipeline } = await reaching({ tls: { root_ca: file("ca.pem") }, sasl });

      await pipeline.driver.push(new Job({ id: "a", name: "app.Job", pipeline: "orders", payload: Buffer.from("{}") }));
      await pipeline.driver.resume(NO_SIGNAL);
      await until("the job", () => pipeline.sink.jobIds.includes("a"));

      await world.close(pipeline);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-48] a client certificate is shown where there is one",
    async () => {
      const tls = { root_ca: file("ca.pem"), cert: file("client.pem"), key: file("client.key") };
      const { pipeline } = await reaching({ tls, sasl: { mechanism: "plain", ...user } });

      await pipeline.driver.push(new Job({ id: "a", name: "app.Job", pipeline: "orders", payload: Buffer.from("{}") }));

      await until("the link", () => pipeline.driver.link.t === "ready");
      await world.close(pipeline);
    },
    TIMEOUT_MS,
  );

  test.each<[string, OptionMap, RegExp]>([
    ["a wrong password for PLAIN", { mechanism: "plain", username: "user", password: "no" }, /authentication|invalid/i],
    [
      "a wrong password for SCRAM",
      { mechanism: "SCRAM-SHA-256", username: "user", password: "no" },
      /authentication|invalid/i,
    ],
    [
      "an unknown user",
      { mechanism: "SCRAM-SHA-512", username: "nobody", password: "secret", zid: "x" },
      /authentication|invalid/i,
    ],
  ])(
    "[KAFKA-48] %s is a clear error, tried again seldom",
    async (_, sasl, text) => {
      const { pipeline } = await reaching({ tls: { root_ca: file("ca.pem") }, sasl });
      const job = new Job({ id: "a", name: "app.Job", pipeline: "orders", payload: Buffer.from("{}") });

      const failure = await Promise.resolve(pipeline.driver.push(job)).catch((error: unknown) => error);
      await expect(pipeline.driver.resume(AbortSignal.timeout(20_000))).rejects.toThrow();

      expect((failure as Error).message).toMatch(text);
      expect(pipeline.driver.link).toMatchObject({ t: "connecting" });
      // Half a minute between two tries of a consumer that is refused.
      const ended = pipeline.logger.messages("error").filter((message) => message.startsWith("kafka consumer ended"));
      expect(ended.length).toBeLessThanOrEqual(2);
      await world.close(pipeline);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-5] a broker whose certificate nobody vouches for is refused, and files that are missing are named",
    async () => {
      const { pipeline } = await reaching({ tls: {}, sasl: { mechanism: "plain", ...user } });
      const job = new Job({ id: "a", name: "app.Job", pipeline: "orders", payload: Buffer.from("{}") });

      await expect(pipeline.driver.push(job)).rejects.toThrow();
      await world.close(pipeline);

      const missing = file("missing.pem");
      await expect(reaching({ tls: { root_ca: missing } })).rejects.toThrow(`root CA file '${missing}' does not exist`);
      await expect(reaching({ tls: { key: missing, cert: missing } })).rejects.toThrow(
        `private key file '${missing}' does not exist`,
      );
      await expect(reaching({ tls: { root_ca: file("client.key") } })).rejects.toThrow(
        "could not append certificates from Root CA file",
      );
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-41] a group whose rights are taken away is tried again, says so meanwhile, and goes on when it has them",
    async () => {
      const topic = await world.topic(1);
      const group = uniqueName("g");
      const pipeline = await world.pipeline(
        {
          consumer_options: { topics: [topic] },
          group_options: { group_id: group, session_timeout: "6s", heartbeat_interval: "500ms" },
        },
        { section: { brokers: [secure], tls: { root_ca: file("ca.pem") }, sasl: { mechanism: "plain", ...user } } },
      );
      const { driver, sink, logger, metrics } = pipeline;
      sink.onDeliver = ({ delivery }) => void delivery.settle(ACK);
      await driver.resume(NO_SIGNAL);
      await until("the link", () => driver.link.t === "ready");
      const rule = {
        resourceType: AclResourceTypes.GROUP,
        resourceName: group,
        resourcePatternType: ResourcePatternTypes.LITERAL,
        principal: "User:user",
        host: "*",
        operation: AclOperationTypes.ALL,
        permissionType: AclPermissionTypes.DENY,
      };
      const admin = await world.admin();

      await admin.createAcls({ acl: [rule] });
      await until("three ends", () => metrics.linesOf("consumerRestarted").length >= 3);
      const meanwhile = driver.link;
      const codes = logger.records.map(({ fields }) => fields["code"]);
      await admin.deleteAcls({ filters: [rule] });
      await world.produce(topic, [{ key: "a", value: "x" }]);
      await until("a job", () => sink.jobIds.includes("a"));
      await until("the link", () => driver.link.t === "ready");

      expect(meanwhile.t).toBe("connecting");
      expect(codes).toContain("GROUP_AUTHORIZATION_FAILED");
      await world.close(pipeline);
    },
    TIMEOUT_MS,
  );

  test(
    "[KAFKA-19] a topic one may not write to fails its own jobs alone",
    async () => {
      const [open, closed] = [await world.topic(1), await world.topic(1)];
      await (
        await world.admin()
      ).createAcls({
        acl: [
          {
            resourceType: AclResourceTypes.TOPIC,
            resourceName: closed,
            resourcePatternType: ResourcePatternTypes.LITERAL,
            principal: "User:user",
            host: "*",
            operation: AclOperationTypes.WRITE,
            permissionType: AclPermissionTypes.DENY,
          },
        ],
      });
      const { driver } = await world.pipeline(
        {},
        { section: { brokers: [secure], tls: { root_ca: file("ca.pem") }, sasl: { mechanism: "plain", ...user } } },
      );
      const job = (id: string, topic: string): Job =>
        new Job({
          id,
          name: "app.Job",
          pipeline: "orders",
          payload: Buffer.from("{}"),
          kafka: { topic, partition: 0, offset: 0, metadata: "" },
        });

      const failures = await driver.pushBatch([job("a", open), job("b", closed), job("c", open)]);

      expect(failures.map(({ index, error }) => [index, error.message.split(":")[0]])).toEqual([
        [1, "TOPIC_AUTHORIZATION_FAILED"],
      ]);
    },
    TIMEOUT_MS,
  );
});
