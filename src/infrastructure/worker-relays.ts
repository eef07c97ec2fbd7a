import type { ProcessIdentity } from "../adapters/php-pool/process/process-identity.ts";
import { SocketRelays } from "../adapters/php-pool/process/socket-relays.ts";
import type { Clock } from "../domain/ports/clock.ts";
import type { Logger } from "../domain/ports/logger.ts";
import type { ServerConfig } from "./config/config.ts";

/** How the workers of all pools are connected: over their standard streams, or to one address of the daemon. */
export class WorkerRelays {
  readonly #relay: ServerConfig["relay"];
  readonly #workers: { readonly maxFrameBytes: number; readonly identity: () => ProcessIdentity };
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Where workers connect, once it is open; `undefined` where they speak over pipes. */
  sockets: SocketRelays | undefined;

  constructor(
    relay: ServerConfig["relay"],
    workers: { readonly maxFrameBytes: number; readonly identity: () => ProcessIdentity },
    clock: Clock,
    log: Logger,
  ) {
    this.#relay = relay;
    this.#workers = workers;
    this.#clock = clock;
    this.#log = log;
  }

  /** What workers find in RR_RELAY. */
  get dsn(): string {
    return this.sockets?.dsn ?? "pipes";
  }

  /** @throws {InvalidConfigError} the address can not be used, or the workers can not be who they are to be */
  async open(): Promise<void> {
    const identity = this.#workers.identity();
    if (this.#relay.t === "pipes") return;
    const options = { address: this.#relay, maxFrameBytes: this.#workers.maxFrameBytes, identity };
    const sockets = new SocketRelays(options, this.#clock, this.#log.channel("server"));
    await sockets.open();
    this.sockets = sockets;
  }

  async close(): Promise<void> {
    await this.sockets?.close();
  }
}
