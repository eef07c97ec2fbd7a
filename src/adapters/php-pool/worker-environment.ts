/** Where the environment of the workers comes from. */
export interface WorkerEnvironmentSources {
  /** The daemon's own environment. */
  readonly daemon: Readonly<Record<string, string | undefined>>;
  /** `server.relay`. */
  readonly relay: string;
  /** Where workers reach the RPC, in a form PHP can use; `undefined` where there is none. */
  readonly rpcAddress: string | undefined;
  /** `server.env`, values already expanded. */
  readonly server: Readonly<Record<string, string>>;
  /** The version workers are told. */
  readonly version: string;
}

/**
 * The environment every worker gets; what comes later wins, so that `server.env` can change RR_RELAY and RR_RPC, but not
 * RR_VERSION and RR_MODE. Names of `server.env` are written in upper case, as workers of RoadRunner expect.
 */
export function workerEnvironment(sources: WorkerEnvironmentSources): Record<string, string> {
  const env = definedOnly(sources.daemon);
  env["RR_RELAY"] = sources.relay;
  if (sources.rpcAddress !== undefined) env["RR_RPC"] = sources.rpcAddress;
  else delete env["RR_RPC"];
  Object.assign(env, upperCased(sources.server));
  env["RR_VERSION"] = sources.version;
  env["RR_MODE"] = "jobs";
  return env;
}

/** Where the environment of the command before the workers comes from. */
export interface OnInitSources {
  readonly daemon: Readonly<Record<string, string | undefined>>;
  readonly rpcAddress: string | undefined;
  /** `server.on_init.env`, values already expanded. */
  readonly own: Readonly<Record<string, string>>;
  readonly version: string;
}

/** The environment of `server.on_init.command`. It is no worker, but it may call the RPC, which RoadRunner leaves it to guess. */
export function onInitEnvironment({ daemon, rpcAddress, own, version }: OnInitSources): Record<string, string> {
  const env = definedOnly(daemon);
  if (rpcAddress !== undefined) env["RR_RPC"] = rpcAddress;
  else delete env["RR_RPC"];
  Object.assign(env, upperCased(own));
  env["RR_VERSION"] = version;
  return env;
}

function definedOnly(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(variables)) {
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function upperCased(variables: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name.toUpperCase(), value]));
}

/** What tells the workers of one daemon apart. `slot` is 0…n-1 and stays with the place when its process is replaced. */
export function workerIdentity(pool: string, slot: number): Record<string, string> {
  return { RR_POOL: pool, RR_WORKER_ID: slot.toString() };
}
