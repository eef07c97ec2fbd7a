import { type Container, ContainerModule } from "inversify";
import { NatsDriverFactory } from "../../adapters/nats/nats-driver-factory.ts";
import { type NatsServerOptions, parseNatsAddress } from "../../adapters/nats/nats-servers.ts";
import type { DriverFactory } from "../../domain/ports/driver-factory.ts";
import type { NatsInput } from "../config/schema/nats-schema.ts";
import { TOKENS } from "../tokens.ts";

/** Brings the driver for NATS JetStream in. */
export function loadNats(container: Container): DriverFactory {
  container.load(natsModule);
  return container.get(NatsDriverFactory);
}

const natsModule = new ContainerModule(({ bind }) => {
  bind(NatsDriverFactory)
    .toResolvedValue(
      ({ nats, jobsd }, clock, random, ids, logger, metrics) =>
        new NatsDriverFactory(nats === undefined ? undefined : toServers(nats), jobsd.compat === "rr", {
          clock,
          random,
          ids,
          log: logger.channel("nats"),
          metrics,
        }),
      [TOKENS.Config, TOKENS.Clock, TOKENS.Random, TOKENS.IdGenerator, TOKENS.Logger, TOKENS.Metrics],
    )
    .inSingletonScope();
});

function toServers({ addr, user, pass, token, creds, nkey_seed, tls, name }: NatsInput): NatsServerOptions {
  const { enabled, ca, cert, key, handshake_first } = tls;
  return {
    address: parseNatsAddress(addr),
    user,
    pass,
    token,
    credsPath: creds,
    nkeySeed: nkey_seed,
    tls: {
      enabled: enabled || ca !== "" || cert !== "" || handshake_first,
      caPath: ca,
      certPath: cert,
      keyPath: key,
      handshakeFirst: handshake_first,
    },
    name,
  };
}
