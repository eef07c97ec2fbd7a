import { fileURLToPath } from "node:url";
import { type Container, ContainerModule } from "inversify";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Config } from "../config/config.ts";
import { ThirdPartyDriver } from "../drivers/third-party-driver.ts";
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
    // Behind ours, so that a package may take the place of one of them.
    for (const [kind, name] of Object.entries(container.get(TOKENS.Config).jobsd.drivers)) {
      bind(TOKENS.DriverLoader)
        .toResolvedValue(
          (config, clock, random, logger, metrics) =>
            new ThirdPartyDriver(kind, name, packageFolders(), {
              clock,
              random,
              metrics,
              logger: logger.channel(kind),
              section: sectionOf(config, kind),
            }),
          [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.Logger, TOKENS.Metrics],
        )
        .inSingletonScope();
    }
  });
}

/** Where packages of drivers are installed: in the daemon's working directory, or beside the daemon. */
function packageFolders(): readonly string[] {
  return [process.cwd(), fileURLToPath(new URL(".", import.meta.url))];
}

function sectionOf({ source }: Config, kind: string): Readonly<Record<string, unknown>> {
  const section = source[kind];
  const usable = typeof section === "object" && section !== null && !Array.isArray(section);
  return usable ? (section as Readonly<Record<string, unknown>>) : {};
}
