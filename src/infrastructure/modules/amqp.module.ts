import { type Container, ContainerModule } from "inversify";
import type { AmqpSection } from "../../adapters/amqp/amqp-address.ts";
import { AmqpDriverFactory } from "../../adapters/amqp/amqp-driver-factory.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { AmqpInput } from "../config/schema/amqp-schema.ts";
import { TOKENS } from "../tokens.ts";

/** Pipelines on RabbitMQ. Loaded with the first of them. */
const amqpModule = new ContainerModule(({ bind }) => {
  bind(AmqpDriverFactory)
    .toResolvedValue(
      ({ amqp }, clock, random, ids, log, metrics) =>
        new AmqpDriverFactory({ section: amqp && sectionOf(amqp), clock, random, ids, log, metrics }),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.IdGenerator, TOKENS.Logger, TOKENS.Metrics],
    )
    .inSingletonScope();
});

/** Brings the driver into the container. */
export function loadAmqp(container: Container): DriverFactory {
  container.load(amqpModule);
  return container.get(AmqpDriverFactory);
}

function sectionOf({ addr, tls }: AmqpInput): AmqpSection {
  const { key, cert, root_ca: rootCa, client_auth_type: clientAuthType } = tls;
  const absent = key === "" && cert === "" && rootCa === "";
  return { addr, tls: absent ? undefined : { key, cert, rootCa, clientAuthType } };
}
