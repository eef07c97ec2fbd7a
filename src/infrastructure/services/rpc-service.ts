import type { RpcServer } from "../../adapters/rpc/rpc-server.ts";
import type { Config } from "../config/config.ts";
import type { Service } from "../lifecycle/lifecycle.ts";
import type { RpcDsn } from "../rpc-dsn.ts";

/** Opens the RPC when every pipeline has its driver. Without a section `rpc` nothing listens. */
export function rpcService(config: Config, server: RpcServer, dsn: RpcDsn): Service {
  return {
    name: "rpc",
    phase: "listeners",
    start: async () => {
      if (!config.rpc.enabled) return;
      await server.start();
      dsn.current = server.phpDsn;
    },
    stop: (signal) => server.stop(signal),
  };
}
