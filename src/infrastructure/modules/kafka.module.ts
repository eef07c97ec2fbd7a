import { ContainerModule } from "inversify";
import { KafkaDriverFactory } from "../../adapters/kafka/kafka-driver-factory.ts";
import { TOKENS } from "../tokens.ts";

/** Pipelines on Kafka. Brings kafkajs in. */
export const kafkaModule = new ContainerModule(({ bind }) => {
  bind(KafkaDriverFactory)
    .toResolvedValue(
      ({ kafka, jobsd }, clock, random, logger, metrics, ids) =>
        new KafkaDriverFactory(kafka, { clock, random, logger, metrics, ids, strict: jobsd.start === "strict" }),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.Logger, TOKENS.Metrics, TOKENS.IdGenerator],
    )
    .inSingletonScope();
});
