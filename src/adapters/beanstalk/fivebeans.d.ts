/** The client of fivebeans 1.5.0, as far as `beanstalk-connection.ts` uses it; the package has no types. */
declare module "fivebeans/lib/client.js" {
  import type { EventEmitter } from "node:events";
  import type { Socket } from "node:net";

  namespace FiveBeansClient {
    /** `error` is the first word of the answer, everything else is undefined then. */
    type Callback = (error: string | null | undefined, id?: string | Buffer, body?: Buffer) => void;

    interface Handler {
      /** Words of the answer; without the first one if that was expected. */
      args: string[] | undefined;
      /** How bodies of an answer are given out, by its first word. */
      RESPONSES_REQUIRING_BODY: Readonly<Record<string, "passthrough" | "yaml">>;
    }
  }

  class FiveBeansClient extends EventEmitter {
    constructor(host: string, port: number | string);
    /** `null` before `connect`. */
    stream: Socket | null;
    /** What was received and not understood yet. */
    buffer: Buffer | undefined;
    handlers: [FiveBeansClient.Handler, FiveBeansClient.Callback][];
    connect(): void;
    /** Reads as many answers from `buffer` as there are. */
    tryHandlingResponse(): void;
    use(tube: string, callback: FiveBeansClient.Callback): void;
    watch(tube: string, callback: FiveBeansClient.Callback): void;
    ignore(tube: string, callback: FiveBeansClient.Callback): void;
    put(priority: number, delay: number, ttr: number, body: Buffer, callback: FiveBeansClient.Callback): void;
    reserve_with_timeout(seconds: number, callback: FiveBeansClient.Callback): void;
    /** The command `delete`. */
    destroy(id: string, callback: FiveBeansClient.Callback): void;
    release(id: string, priority: number, delay: number, callback: FiveBeansClient.Callback): void;
    bury(id: string, priority: number, callback: FiveBeansClient.Callback): void;
    touch(id: string, callback: FiveBeansClient.Callback): void;
    stats_job(id: string, callback: FiveBeansClient.Callback): void;
    stats_tube(tube: string, callback: FiveBeansClient.Callback): void;
    stats(callback: FiveBeansClient.Callback): void;
  }

  export = FiveBeansClient;
}
