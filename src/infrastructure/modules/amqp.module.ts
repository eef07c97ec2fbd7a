import { ContainerModule } from "inversify";
import type { AmqpSection } from "../../adapters/amqp/amqp-address.ts";
import { AmqpDriverFactory } from "../../adapters/amqp/amqp-driver-factory.ts";
import type { AmqpInput } from "../config/schema/amqp-schema.ts";
import { TOKENS } from "../tokens.ts";

/** Pipelines on RabbitMQ. Loaded with the first of them. */
export const amqpModule = new ContainerModule(({ bind }) => {
  bind(AmqpDriverFactory)
    .toResolvedValue(
      ({ amqp }, clock, random, ids, log, metrics) =>
        new AmqpDriverFactory({ section: amqp && sectionOf(amqp), clock, random, ids, log, metrics }),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.IdGenerator, TOKENS.Logger, TOKENS.Metrics],
    )
    .inSingletonScope();
});

function sectionOf({ addr, tls }: AmqpInput): AmqpSection {
  const { key, cert, root_ca: rootCa, client_auth_type: clientAuthType } = tls;
  const absent = key === "" && cert === "" && rootCa === "";
  return { addr, tls: absent ? undefined : { key, cert, rootCa, clientAuthType } };
}
