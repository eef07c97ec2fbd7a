import type { Container } from "inversify";
import type { Config } from "./config/config.ts";

/**
 * Parts that are there only where the configuration has their section: what they import costs time and memory. Called
 * once, before anything is resolved.
 */
export async function loadConfiguredModules(container: Container, config: Config): Promise<void> {
  if (config.otel !== undefined) {
    const { loadOtelModule } = await import("./modules/otel.module.ts");
    await loadOtelModule(container, config.otel);
  }
  if (config.metrics !== undefined) {
    const { metricsModule } = await import("./modules/metrics.module.ts");
    container.load(metricsModule(config.metrics));
  }
  if (config.status !== undefined) {
    const { statusModule } = await import("./modules/status.module.ts");
    container.load(statusModule(config.status));
  }
}
