import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "./http-listener.ts";

/** Gives all series as text; in the OpenMetrics format where `openMetrics` is set. */
export type Expose = (openMetrics: boolean) => Promise<{ readonly contentType: string; readonly body: string }>;

const compress = promisify(gzip);

/** `/metrics`, and the same on `/`. */
export function metricsRoute(app: FastifyInstance, expose: Expose): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const openMetrics = accepts(request.headers.accept, "application/openmetrics-text");
    const { contentType, body } = await expose(openMetrics);
    void reply.header("content-type", contentType).header("vary", "accept, accept-encoding");
    if (!accepts(header(request, "accept-encoding"), "gzip")) return reply.send(body);
    return reply.header("content-encoding", "gzip").send(await compress(body));
  };
  app.get("/metrics", answer);
  app.get("/", answer);
}

/** Whether a list such as `text/plain;q=0.5, gzip` has the word, and does not refuse it. */
function accepts(list: string | undefined, word: string): boolean {
  return (list ?? "").split(",").some((item) => {
    const [name = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    return name === word && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}
