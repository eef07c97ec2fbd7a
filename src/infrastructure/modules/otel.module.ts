import { type Container, ContainerModule } from "inversify";
import { OtelSdk } from "../../adapters/telemetry/otel-sdk.ts";
import type { OtelConfig } from "../config/config.ts";
import type { Service } from "../lifecycle/lifecycle.ts";
import { TOKENS } from "../tokens.ts";
import { RR_VERSION } from "../version.ts";

/** Tracing. Loaded only where section `otel` is there: OpenTelemetry takes half a second and 26 MB. */
export async function loadOtelModule(container: Container, config: OtelConfig): Promise<void> {
  const log = container.get(TOKENS.Logger).channel("otel");
  const sdk = await OtelSdk.start({ ...config, version: RR_VERSION }, log);
  container.load(
    new ContainerModule(({ bind }) => {
      bind(TOKENS.Service).toConstantValue(otelService(sdk));
    }),
  );
  container.rebind(TOKENS.Tracer).toConstantValue(sdk.tracer);
}

/** Ends last of all, so that the spans of the last jobs are exported. */
function otelService(sdk: OtelSdk): Service {
  return { name: "tracing", phase: "telemetry", start: () => Promise.resolve(), stop: () => sdk.stop() };
}
