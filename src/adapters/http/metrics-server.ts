import { HttpListener } from "./http-listener.ts";
import { type Expose, metricsRoute } from "./metrics-route.ts";

/** Scrapers are few; more connections than this are somebody else. */
const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 1024;

/** The HTTP server of section `metrics`. */
export function metricsServer(address: { readonly host: string; readonly port: number }, expose: Expose): HttpListener {
  const options = {
    name: "metrics",
    ...address,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    maxBodyBytes: MAX_BODY_BYTES,
    maxConnections: MAX_CONNECTIONS,
  };
  return new HttpListener(options, (app) => {
    metricsRoute(app, expose);
  });
}
