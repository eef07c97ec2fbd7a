import { type Container, ContainerModule } from "inversify";
import { KafkaDriverFactory } from "../../adapters/kafka/kafka-driver-factory.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import { TOKENS } from "../tokens.ts";

/** Pipelines on Kafka. Brings kafkajs in. */
const kafkaModule = new ContainerModule(({ bind }) => {
  bind(KafkaDriverFactory)
    .toResolvedValue(
      ({ kafka, jobsd }, clock, random, logger, metrics, ids) =>
        new KafkaDriverFactory(kafka, { clock, random, logger, metrics, ids, strict: jobsd.start === "strict" }),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.Logger, TOKENS.Metrics, TOKENS.IdGenerator],
    )
    .inSingletonScope();
});

/** Brings the module in and gives its factory. */
export function loadKafka(container: Container): DriverFactory {
  container.load(kafkaModule);
  return container.get(KafkaDriverFactory);
}
