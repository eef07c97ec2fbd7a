import { ContainerModule } from "inversify";
import { statusServer } from "../../adapters/http/status-server.ts";
import type { StatusSource } from "../../adapters/http/status-routes.ts";
import { Health } from "../../application/health.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import type { StatusConfig } from "../config/config.ts";
import { statusService, unknownPluginReport } from "../services/status-service.ts";
import { TOKENS } from "../tokens.ts";

/** The endpoint probes ask. Loaded only where section `status` is there. */
export function statusModule(config: StatusConfig): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(TOKENS.Service).toResolvedValue(
      (health, stat, { jobsd }, clock, log) => {
        const channel = log.channel("status");
        const settings = {
          unavailableCode: config.unavailableCode,
          strict: jobsd.strict,
          unknownPlugin: unknownPluginReport(clock, channel),
        };
        return statusService(statusServer(config, sourceOf(health, stat), settings), config, channel);
      },
      [Health, StatPipelines, TOKENS.Config, TOKENS.Clock, TOKENS.Logger],
    );
  });
}

function sourceOf(health: Health, stat: StatPipelines): StatusSource {
  return {
    get stopping() {
      return health.stopping;
    },
    get alive() {
      return health.alive;
    },
    get notReady() {
      return health.notReady;
    },
    pipelines: () => stat.execute(),
  };
}
