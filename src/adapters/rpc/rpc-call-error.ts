/** The daemon's answer was an error; the message is its text. */
export class RpcCallError extends Error {
  readonly method: string;

  constructor(method: string, text: string) {
    super(text);
    this.name = "RpcCallError";
    this.method = method;
  }
}
