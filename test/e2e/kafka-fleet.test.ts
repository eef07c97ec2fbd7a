import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, jest, test } from "@jest/globals";
import { Job } from "../../src/domain/job.ts";
import { DaemonProcess } from "../../src/testing/daemon-process.ts";
import { describeWithBroker, uniqueName } from "../support/brokers.ts";
import { KafkaWorld, until } from "../support/kafka-world.ts";
import { testFile } from "../support/scene.ts";

/** Records of the test; 100,000 take some minutes: JOBSD_TEST_KAFKA_RECORDS=100000. */
const RECORDS = Number(process.env["JOBSD_TEST_KAFKA_RECORDS"] ?? 6000);

/** Of one partition that may run again after a kill: what was fetched and not committed. */
const WINDOW = 1000;
const PARTITIONS = 3;
const KILL_EVERY_MS = 9000;

jest.setTimeout(180_000 + RECORDS * 6);

describeWithBroker("kafka", "two daemons on one Kafka group", ({ address }) => {
  const world = new KafkaWorld(address);
  afterAll(() => world.dispose());

  test("[KAFKA-23] while one of them is killed again and again, every record is finished at least once", async () => {
    const topic = await world.topic(PARTITIONS);
    const folder = mkdtempSync(join(tmpdir(), "jobsd-fleet-"));
    const logFile = join(folder, "runs.log");
    const consumer = `consumer_options: { topics: [${topic}], commit_interval: 200ms, max_uncommitted: ${WINDOW} }`;
    const group = `group_options: { group_id: ${uniqueName("g")}, session_timeout: 6s, heartbeat_interval: 1s }`;
    const config = [
      `kafka: { brokers: [${address
        .split(",")
        .map((broker) => JSON.stringify(broker))
        .join(", ")}] }`,
      `server: { command: ${JSON.stringify(`php ${testFile("php/by-header.php")}`)} }`,
      "jobs: { consume: [p], pool: { num_workers: 2 },",
      `  pipelines: { p: { driver: kafka, config: { ${consumer}, ${group} } } } }`,
    ].join("\n");
    const start = (): Promise<DaemonProcess> =>
      DaemonProcess.start({ config, logLevel: "info", env: { JOBSD_TEST_LOG: logFile } });
    const runs = (): readonly string[] =>
      existsSync(logFile)
        ? readFileSync(logFile, "utf8")
            .split("\n")
            .slice(0, -1)
            .map((line) => (JSON.parse(line) as { begun: string }).begun)
        : [];
    const { driver } = await world.pipeline({ consumer_options: { topics: [topic] } }, { name: "p" });
    for (let first = 0; first < RECORDS; first += 5000) {
      const length = Math.min(5000, RECORDS - first);
      const jobs = Array.from(
        { length },
        (_, index) => new Job({ id: `id-${first + index}`, name: "app.Job", pipeline: "p", payload: Buffer.alloc(64) }),
      );
      expect(await driver.pushBatch(jobs)).toEqual([]);
    }
    const daemons = await Promise.all([start(), start()]);
    let kills = 0;
    try {
      let killedAt = Date.now();
      await until(
        "every record",
        async () => {
          if (new Set(runs()).size >= RECORDS && kills >= 2) return true;
          if (Date.now() - killedAt < KILL_EVERY_MS) return false;
          const index = kills % 2;
          await daemons[index]?.kill();
          kills += 1;
          daemons[index] = await start();
          killedAt = Date.now();
          return false;
        },
        150_000 + RECORDS * 5,
      );
    } finally {
      await Promise.all(daemons.map((daemon) => daemon.kill()));
    }
    const all = runs();
    rmSync(folder, { recursive: true, force: true });

    const duplicates = all.length - RECORDS;
    process.stderr.write(`${RECORDS} records, ${kills} kills, ${duplicates} ran again\n`);
    expect(new Set(all).size).toBe(RECORDS);
    // Each kill and each comeback moves partitions; a fetch that is under way is taken whole.
    expect(duplicates).toBeLessThanOrEqual((2 * kills + 2) * PARTITIONS * 2 * WINDOW);
  });
});
