import { HttpListener } from "./http-listener.ts";
import { statusRoutes, type StatusSettings, type StatusSource } from "./status-routes.ts";

const MAX_CONNECTIONS = 1024;
const MAX_BODY_BYTES = 64 * 1024;

/** The HTTP server of section `status`. */
export function statusServer(
  address: { readonly host: string; readonly port: number; readonly checkTimeoutMs: number },
  source: StatusSource,
  settings: StatusSettings,
): HttpListener {
  const { host, port, checkTimeoutMs } = address;
  const options = {
    name: "status",
    host,
    port,
    requestTimeoutMs: checkTimeoutMs,
    maxBodyBytes: MAX_BODY_BYTES,
    maxConnections: MAX_CONNECTIONS,
  };
  return new HttpListener(options, (app) => {
    statusRoutes(app, source, settings);
  });
}
