import { request } from "node:http";

/** An answer of an HTTP server, whole. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
}

export interface HttpQuery {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

const TIMEOUT_MS = 20_000;

/** One request to a server on the loopback interface. */
export function httpGet(port: number, path: string, query: HttpQuery = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const { method = "GET", headers = {}, body } = query;
    const call = request({ host: "127.0.0.1", port, path, method, headers, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const status = response.statusCode ?? 0;
        resolve({ status, headers: response.headers, body: bytes, text: bytes.toString("utf8") });
      });
    });
    call.on("timeout", () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms: ${method} ${path}`)));
    call.on("error", reject);
    call.end(body);
  });
}
