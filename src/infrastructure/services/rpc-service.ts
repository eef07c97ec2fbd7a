import type { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import type { Config } from "../config/config.ts";
import type { Service } from "../lifecycle/lifecycle.ts";

/** Opens the RPC when every pipeline has its driver. Without a section `rpc` nothing listens. */
export function rpcService(config: Config, server: RpcServer): Service {
  return {
    name: "rpc",
    phase: "listeners",
    start: () => (config.rpc.enabled ? server.start() : Promise.resolve()),
    stop: (signal) => server.stop(signal),
  };
}
