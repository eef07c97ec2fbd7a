import { type RpcMethod, rpcMethod } from "../rpc-router.ts";
import { BOOLEAN, TEXT } from "../shape.ts";

/** The service `rpc`: what the daemon says about itself. */
export function rpcMethods(version: string): readonly RpcMethod[] {
  return [rpcMethod({ name: "rpc.Version", request: BOOLEAN, reply: TEXT, call: () => version })];
}
