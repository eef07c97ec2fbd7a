export { RpcCallError } from "../adapters/rpc/rpc-call-error.ts";
export { encodeBatch, type JobToPush, RpcClient, type RpcTarget } from "../adapters/rpc/rpc-client.ts";
