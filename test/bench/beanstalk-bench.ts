import FiveBeansClient from "fivebeans/lib/client.js";
import { type BareClient, type BrokerBench, PAYLOAD } from "./broker-bench.ts";

/** Consumer connections of either side. */
const PREFETCH = 10;

const PRIORITY = 0;
const TTR_SEC = 30;

/** beanstalkd: fivebeans alone, on a tube of its own. */
export const beanstalkBench: BrokerBench = {
  kind: "beanstalk",
  consumed: 20_000,
  inTurn: 1000,
  configure: (address, queue) => ({
    section: `beanstalk: { addr: ${JSON.stringify(address)} }`,
    options: `{ tube: ${queue}, prefetch: ${PREFETCH} }`,
  }),
  connect: async (address, queue): Promise<BareClient> => {
    const producer = await open(address);
    await once((done) => {
      producer.use(queue, done);
    });
    const consumers = await Promise.all(Array.from({ length: PREFETCH }, () => open(address)));
    for (const consumer of consumers) {
      await once((done) => {
        consumer.watch(queue, done);
      });
    }
    const put = (): Promise<string> =>
      once((done) => {
        producer.put(PRIORITY, 0, TTR_SEC, PAYLOAD, done);
      });
    return {
      publishAll: async (count) => {
        await Promise.all(Array.from({ length: count }, put));
      },
      publishInTurn: async (count) => {
        for (let n = 0; n < count; n++) await put();
      },
      consumeAll: async (count) => {
        let left = count;
        const consume = async (consumer: FiveBeansClient): Promise<void> => {
          while (left > 0) {
            left -= 1;
            const id = await once((done) => {
              consumer.reserve_with_timeout(10, done);
            });
            await once((done) => {
              consumer.destroy(id, done);
            });
          }
        };
        await Promise.all(consumers.map(consume));
      },
      close: () => {
        for (const client of [producer, ...consumers]) client.stream?.destroy();
        return Promise.resolve();
      },
    };
  },
};

function open(address: string): Promise<FiveBeansClient> {
  const { hostname, port } = new URL(address);
  const client = new FiveBeansClient(hostname, Number(port));
  return new Promise((resolve, reject) => {
    client.on("error", reject);
    client.once("connect", () => {
      client.stream?.setNoDelay(true);
      resolve(client);
    });
    client.connect();
  });
}

/** @returns the id in the answer, if there is one */
function once(call: (done: FiveBeansClient.Callback) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    call((error, id) => {
      if (typeof error === "string") reject(new Error(error));
      else resolve(typeof id === "string" ? id : "");
    });
  });
}
