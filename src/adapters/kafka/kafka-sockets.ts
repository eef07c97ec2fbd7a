import * as net from "node:net";
import * as tls from "node:tls";

const KEEP_ALIVE_DELAY_MS = 60_000;

/** What the client asks for when it connects. */
export interface SocketRequest {
  readonly host: string;
  readonly port: number;
  readonly ssl: tls.ConnectionOptions | undefined;
  readonly onConnect: () => void;
}

/**
 * The connections of one client object. The client has no way to end them at once; whoever gives it up has, so that no
 * member of a group lives on unseen.
 */
export class KafkaSockets {
  readonly #open = new Set<net.Socket>();
  #destroyed = false;

  /** Opens a socket; after `destroy` one that fails. */
  readonly open = ({ host, port, ssl, onConnect }: SocketRequest): net.Socket => {
    if (this.#destroyed) return refused();
    const socket = ssl
      ? tls.connect({ host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
      : net.connect({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS);
    // Small requests follow each other: waiting to fill a packet would only delay them.
    socket.setNoDelay(true);
    this.#open.add(socket);
    socket.once("close", () => {
      this.#open.delete(socket);
    });
    return socket;
  };

  destroy(): void {
    this.#destroyed = true;
    for (const socket of this.#open) socket.destroy(new Error("the client was ended"));
  }
}

function refused(): net.Socket {
  const socket = new net.Socket();
  process.nextTick(() => socket.destroy(new Error("the client was ended")));
  return socket;
}
