import { type Container, ContainerModule } from "inversify";
import { SqsDriverFactory } from "../../adapters/sqs/sqs-driver-factory.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { Config } from "../config/config.ts";
import { TOKENS } from "../tokens.ts";

/** Brought in only when a pipeline needs it: the AWS SDK takes 0.2 s and 18 MB. */
export function loadSqs(container: Container): DriverFactory {
  container.load(sqsModule);
  return container.get(SqsDriverFactory);
}

const sqsModule = new ContainerModule(({ bind }) => {
  bind(SqsDriverFactory)
    .toResolvedValue(
      (config: Config, clock, random, ids, logger, metrics) =>
        new SqsDriverFactory(
          {
            access: config.sqs === undefined ? undefined : accessOf(config.sqs),
            environment: process.env,
            delayed: config.jobsd.compat === "rr" ? "reject" : "rearm",
          },
          { clock, random, ids, logger, metrics },
        ),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.IdGenerator, TOKENS.Logger, TOKENS.Metrics],
    )
    .inSingletonScope();
});

function accessOf({ key, secret, session_token, region, endpoint }: NonNullable<Config["sqs"]>): {
  key: string;
  secret: string;
  sessionToken: string;
  region: string;
  endpoint: string;
} {
  return { key, secret, sessionToken: session_token, region, endpoint };
}
