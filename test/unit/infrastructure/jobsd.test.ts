import { describe, expect, test } from "@jest/globals";
import { WorkerStartError } from "../../../src/domain/errors.ts";
import { createJobsd, type Jobsd } from "../../../src/infrastructure/jobsd.ts";
import { TOKENS } from "../../../src/infrastructure/tokens.ts";
import { FakeLogger } from "../../../src/testing/fake-logger.ts";
import { FakePool } from "../../../src/testing/fake-pool.ts";
import { load, MINIMAL } from "./config/a-config.ts";

function aDaemon(): { readonly daemon: Jobsd; readonly pool: FakePool } {
  const { config } = load(`${MINIMAL}jobs: {consume: [p], pipelines: {p: {driver: memory}}}\n`);
  const daemon = createJobsd(config, new FakeLogger());
  const pool = new FakePool();
  daemon.container.rebind(TOKENS.WorkerPool).toConstantValue(pool);
  return { daemon, pool };
}

describe("stopping a daemon", () => {
  test("[JC-72] twice does no more than once", async () => {
    const { daemon, pool } = aDaemon();
    await daemon.start();

    await Promise.all([daemon.stop(), daemon.stop()]);
    await daemon.stop();

    expect(pool.stopped).toBe(true);
  });

  test("[JC-72] that was never started does nothing", async () => {
    const { daemon, pool } = aDaemon();

    await daemon.stop();

    expect(pool.stopped).toBe(false);
  });

  test("[JC-72] whose start failed is done already, and may be asked for again", async () => {
    const { daemon, pool } = aDaemon();
    pool.faults.failNext("start", new WorkerStartError("no such script"));

    await expect(daemon.start()).rejects.toThrow("no such script");
    await daemon.stop();

    expect(pool.stopped).toBe(true);
  });
});
