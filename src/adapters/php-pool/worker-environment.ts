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
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(sources.daemon)) {
    if (value !== undefined) env[name] = value;
  }
  env["RR_RELAY"] = sources.relay;
  if (sources.rpcAddress !== undefined) env["RR_RPC"] = sources.rpcAddress;
  else delete env["RR_RPC"];
  for (const [name, value] of Object.entries(sources.server)) env[name.toUpperCase()] = value;
  env["RR_VERSION"] = sources.version;
  env["RR_MODE"] = "jobs";
  return env;
}

/** What tells the workers of one daemon apart. `slot` is 0…n-1 and stays with the place when its process is replaced. */
export function workerIdentity(pool: string, slot: number): Record<string, string> {
  return { RR_POOL: pool, RR_WORKER_ID: slot.toString() };
}
