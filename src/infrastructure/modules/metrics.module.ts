import { ContainerModule } from "inversify";
import { metricsServer } from "../../adapters/http/metrics-server.ts";
import { metricsMethods } from "../../adapters/rpc/methods/metrics-methods.ts";
import { jobFamilies } from "../../adapters/telemetry/job-families.ts";
import { PromMetrics } from "../../adapters/telemetry/prom-metrics.ts";
import { PromRegistry } from "../../adapters/telemetry/prom-registry.ts";
import { type StateSource, stateFamilies } from "../../adapters/telemetry/state-families.ts";
import { UserMetrics } from "../../adapters/telemetry/user-metrics.ts";
import { InspectWorkers } from "../../application/inspect-workers.ts";
import { StatPipelines } from "../../application/stat-pipelines.ts";
import { WatchPipelines } from "../../application/watch-pipelines.ts";
import { PipelineRegistry } from "../../domain/pipeline-registry.ts";
import type { Metrics } from "../../domain/ports/metrics.ts";
import type { Config, MetricsConfig } from "../config/config.ts";
import { metricsService } from "../services/metrics-service.ts";
import { TOKENS } from "../tokens.ts";

/** The metrics endpoint, and the metrics of the application. Loaded only where section `metrics` is there. */
export function metricsModule(config: MetricsConfig): ContainerModule {
  return new ContainerModule(({ bind }) => {
    bind(WatchPipelines)
      .toResolvedValue(
        (registry, stat, clock) => new WatchPipelines(registry, stat, clock),
        [PipelineRegistry, StatPipelines, TOKENS.Clock],
      )
      .inSingletonScope();
    bind(PromRegistry)
      .toResolvedValue(
        (metrics, workers, pipelines, all) => registryOf(config, metrics, stateOf(all, workers, pipelines)),
        [TOKENS.Metrics, InspectWorkers, WatchPipelines, TOKENS.Config],
      )
      .inSingletonScope();
    bind(UserMetrics)
      .toResolvedValue(
        (registry, log) => userMetrics(config, new UserMetrics(registry, log.channel("metrics"))),
        [PromRegistry, TOKENS.Logger],
      )
      .inSingletonScope();
    bind(TOKENS.RpcMethods).toResolvedValue((metrics) => metricsMethods(metrics), [UserMetrics]);
    bind(TOKENS.Service).toResolvedValue(
      (registry, clock, log, pipelines) => {
        const server = metricsServer(config, (openMetrics) => registry.expose(openMetrics));
        return metricsService(config, server, pipelines, { clock, log: log.channel("metrics") });
      },
      [PromRegistry, TOKENS.Clock, TOKENS.Logger, WatchPipelines],
    );
  });
}

function registryOf(config: MetricsConfig, metrics: Metrics, state: StateSource): PromRegistry {
  const registry = new PromRegistry();
  registry.addProcessMetrics(config.goCompat);
  for (const family of stateFamilies(state)) registry.add(family);
  // A program that embeds the daemon may count in its own way: then there is nothing of ours to show.
  if (metrics instanceof PromMetrics) for (const family of jobFamilies(metrics)) registry.add(family);
  return registry;
}

function stateOf({ jobs }: Config, workers: InspectWorkers, pipelines: WatchPipelines): StateSource {
  return {
    workers: () => workers.execute(),
    poolSizes: () => workers.status(),
    pipelines: () => pipelines.look(),
    queueCapacity: jobs.pipelineSize,
    uptimeSeconds: () => process.uptime(),
  };
}

function userMetrics(config: MetricsConfig, metrics: UserMetrics): UserMetrics {
  for (const [name, description] of Object.entries(config.collect)) metrics.declare(name, description);
  return metrics;
}
