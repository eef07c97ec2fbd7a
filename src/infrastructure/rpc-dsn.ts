/** Where PHP on this machine reaches the RPC; known once it listens. Pools ask for it with each start of a worker. */
export class RpcDsn {
  /** `undefined` while nothing listens. */
  current: string | undefined;
}
