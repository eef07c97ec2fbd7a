import { type FastifyInstance, type FastifyReply, type FastifyRequest, JSON_TYPE, TEXT } from "./http-listener.ts";

/** What the routes need to know of the daemon. Nothing here may wait, but for `pipelines`. */
export interface StatusSource {
  /** The daemon stops: it is not ready any more, and still alive. */
  readonly stopping: boolean;
  /** A worker lives. */
  readonly alive: boolean;
  /** Why no jobs can be executed now; empty if they can. */
  readonly notReady: string;
  /** State of all pipelines, within a few seconds. Never rejects. */
  pipelines(): Promise<readonly PipelineState[]>;
}

export interface PipelineState {
  readonly pipeline: string;
  readonly priority: number;
  readonly ready: boolean;
  readonly queue: string;
  readonly active: number;
  readonly delayed: number;
  readonly reserved: number;
  readonly driver: string;
  readonly error: string;
}

export interface StatusSettings {
  /** HTTP status of an answer that says no. */
  readonly unavailableCode: number;
  /** A request that names only plugins that do not exist is answered with no. */
  readonly strict: boolean;
  /** Called with the name of a plugin that does not exist. */
  readonly unknownPlugin: (name: string) => void;
}

/** Answer about one plugin, in RoadRunner's form and order of keys. */
interface PluginStatus {
  readonly plugin_name: string;
  readonly error_message: string;
  readonly status_code: number;
}

const PLUGIN = "jobs";
const STOPPING = "service is shutting down\n";
/** Plugins one request may name. */
const MAX_PLUGINS = 100;

/** `/health`, `/ready` and `/jobs`, for any method. */
export function statusRoutes(app: FastifyInstance, source: StatusSource, settings: StatusSettings): void {
  const { unavailableCode } = settings;
  app.all("/health", (request, reply) => {
    if (source.stopping) return reply.code(200).type(TEXT).send(STOPPING);
    return check(request, reply, settings, source.alive ? "" : "internal server error, see logs");
  });
  app.all("/ready", (request, reply) => {
    if (source.stopping) return reply.code(unavailableCode).type(TEXT).send(STOPPING);
    return check(request, reply, settings, source.notReady);
  });
  app.all("/jobs", async (_request, reply) => {
    if (source.stopping) return reply.code(unavailableCode).type(TEXT).send(STOPPING);
    return reply.type(JSON_TYPE).send(JSON.stringify((await source.pipelines()).map(pipelineEntry)));
  });
}

/** @param problem of the plugin `jobs`; empty if it is well */
function check(request: FastifyRequest, reply: FastifyReply, settings: StatusSettings, problem: string): FastifyReply {
  const { unavailableCode, strict, unknownPlugin } = settings;
  const names = pluginsOf(request);
  const wanted = names.length === 0 ? [PLUGIN] : [...new Set(names)].slice(0, MAX_PLUGINS).sort();
  const entries = wanted.map((name): PluginStatus => {
    if (name === PLUGIN) {
      return { plugin_name: PLUGIN, error_message: problem, status_code: problem === "" ? 200 : unavailableCode };
    }
    unknownPlugin(name);
    return { plugin_name: name, error_message: "no such plugin", status_code: 404 };
  });
  const known = wanted.includes(PLUGIN);
  const unavailable = known ? problem !== "" : strict;
  return reply
    .code(unavailable ? unavailableCode : 200)
    .type(JSON_TYPE)
    .send(JSON.stringify(entries));
}

/** `?plugin=a&plugin=b`: the parameter is repeated. */
function pluginsOf(request: FastifyRequest): readonly string[] {
  const { plugin } = request.query as { readonly plugin?: string | readonly string[] };
  if (plugin === undefined) return [];
  return typeof plugin === "string" ? [plugin] : plugin;
}

function pipelineEntry(state: PipelineState): object {
  const { pipeline, priority, ready, queue, active, delayed, reserved, driver, error } = state;
  return { pipeline, priority, ready, queue, active, delayed, reserved, driver, error_message: error };
}
