import { type Container, ContainerModule } from "inversify";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import { TOKENS } from "../tokens.ts";

/** Brings the module of a driver in and gives its factory. */
type Load = (container: Container) => Promise<DriverFactory>;

/**
 * The drivers with a broker, by kind. Each is imported when the first pipeline of its kind is built, so that the
 * client of a broker nobody uses costs nothing.
 */
const DRIVERS: Readonly<Record<string, Load>> = {
  beanstalk: async (container) => (await import("./beanstalk.module.ts")).loadBeanstalk(container),
  amqp: async (container) => (await import("./amqp.module.ts")).loadAmqp(container),
  kafka: async (container) => (await import("./kafka.module.ts")).loadKafka(container),
  sqs: async (container) => (await import("./sqs.module.ts")).loadSqs(container),
  nats: async (container) => (await import("./nats.module.ts")).loadNats(container),
};

/** What the driver catalog loads drivers by. */
export function driversModule(container: Container): ContainerModule {
  return new ContainerModule(({ bind }) => {
    for (const [kind, load] of Object.entries(DRIVERS)) {
      bind(TOKENS.DriverLoader).toConstantValue({ kind, load: () => load(container) });
    }
  });
}
