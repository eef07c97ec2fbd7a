import { create } from "@bufbuild/protobuf";
import { RequestSchema, type Response, ResponseSchema } from "../gen/status/v1/status_pb.ts";
import { messageShape } from "../message-shape.ts";
import { RpcError } from "../rpc-error.ts";
import { type RpcMethod, rpcMethod } from "../rpc-router.ts";

const OK = 200n;
const UNAVAILABLE = 503n;
const PLUGIN = "jobs";

/** What the service needs to know; see the use case `Health`. */
export interface HealthFacts {
  readonly alive: boolean;
  readonly ready: boolean;
}

/** The service `status`: 200 or 503 for the one plugin there is. */
export function statusMethods(health: HealthFacts): readonly RpcMethod[] {
  const request = messageShape(RequestSchema);
  const reply = messageShape(ResponseSchema);
  const answer = (check: string, plugin: string, holds: () => boolean): Response => {
    if (plugin !== PLUGIN) {
      throw new RpcError(`checker_rpc_${check}:\n\tchecker_plugin_${check}: no such plugin: ${plugin}`);
    }
    return create(ResponseSchema, { code: holds() ? OK : UNAVAILABLE });
  };
  return [
    rpcMethod({
      name: "status.Status",
      request,
      reply,
      call: ({ plugin }) => answer("status", plugin, () => health.alive),
    }),
    rpcMethod({
      name: "status.Ready",
      request,
      reply,
      call: ({ plugin }) => answer("ready", plugin, () => health.ready),
    }),
  ];
}
