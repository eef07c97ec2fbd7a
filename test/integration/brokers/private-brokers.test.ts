import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { describeWithPrivateBroker, type PrivateBroker, startPrivateBroker } from "../../support/brokers.ts";

/** What a beanstalkd answers to `list-tubes`; undefined if nothing can be connected to. */
async function listTubes(address: string): Promise<string | undefined> {
  const { hostname, port } = new URL(address);
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, "connect");
    socket.write("list-tubes\r\n");
    const [answer] = (await once(socket, "data")) as [Buffer];
    return answer.toString("latin1");
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

describe("a broker a test starts for itself", () => {
  describeWithPrivateBroker("beanstalk", "of the smallest kind", () => {
    let broker: PrivateBroker;

    beforeAll(async () => {
      broker = await startPrivateBroker("beanstalk", { flags: "-z 1000" });
    }, 120_000);

    afterAll(() => broker.dispose(), 60_000);

    test("answers at its address", async () => {
      expect(await listTubes(broker.address)).toMatch(/^OK/);
    });

    test("is away after it was killed, and back at the same address", async () => {
      await broker.kill();
      expect(await listTubes(broker.address)).toBeUndefined();

      await broker.start();
      expect(await listTubes(broker.address)).toMatch(/^OK/);
    }, 60_000);

    test("is not disturbed by another of its kind", async () => {
      const other = await startPrivateBroker("beanstalk");
      expect(other.address).not.toBe(broker.address);

      await other.dispose();

      expect(existsSync(other.folder)).toBe(false);
      expect(await listTubes(other.address)).toBeUndefined();
      expect(await listTubes(broker.address)).toMatch(/^OK/);
    }, 60_000);
  });
});
