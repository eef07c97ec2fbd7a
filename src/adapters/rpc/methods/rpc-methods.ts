import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { BOOLEAN, BYTES, TEXT } from "../shape.ts";

/**
 * The service `rpc`: what the daemon says about itself.
 *
 * @param config JSON of the configuration in effect
 */
export function rpcMethods(version: string, config: () => string): readonly RpcMethod[] {
  return [
    rpcMethod({ name: "rpc.Version", request: BOOLEAN, reply: TEXT, call: () => version }),
    rpcMethod({ name: "rpc.Config", request: BOOLEAN, reply: BYTES, call: () => Buffer.from(config(), "utf8") }),
  ];
}
