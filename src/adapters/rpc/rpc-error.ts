/** A refusal whose message goes to the client as it is: unknown method, unreadable body, failed call. */
export class RpcError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RpcError";
  }
}
