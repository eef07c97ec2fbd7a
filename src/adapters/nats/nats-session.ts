import { readFile } from "node:fs/promises";
import {
  connect,
  type ConnectionOptions,
  type ConsumerConfig,
  type ConsumerInfo,
  createInbox,
  credsAuthenticator,
  headers as newHeaders,
  type JetStreamManager,
  type Msg,
  type MsgHdrs,
  type NatsConnection as Client,
  NatsError,
  nkeyAuthenticator,
  type StreamConfig,
  type TlsOptions,
} from "nats";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { messageOf } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";
import type {
  ConsumerDescription,
  ConsumerSettings,
  NatsConnection,
  NatsInbox,
  NatsMessage,
  ReplyHandler,
  StreamDescription,
  StreamSettings,
} from "./nats-connection.ts";
import {
  ConnectionLostError,
  JetStreamError,
  NatsRefusedError,
  NoAnswerError,
  NoRespondersError,
  PermissionError,
  type RequestFailure,
} from "./nats-errors.ts";
import type { WireHeaders } from "./nats-headers.ts";
import { answeringServers } from "./nats-probe.ts";
import type { NatsServerOptions } from "./nats-servers.ts";
import { RequestTable } from "./request-table.ts";

const API_TIMEOUT_MS = 10_000;
const DIAL_TIMEOUT_MS = 10_000;
const PING_EVERY_MS = 5_000;
const NO_RESPONDERS = 503;

/**
 * Opens one connection that ends when it breaks: reconnecting is the link's.
 *
 * @param name how the server shows the connection
 * @throws {DriverUnavailableError} no server answers
 * @throws {NatsRefusedError} a server refuses the credentials, or the encryption is not what was asked for
 */
export async function openNatsSession(
  options: NatsServerOptions,
  name: string,
  clock: Clock,
  signal: CancelSignal,
): Promise<NatsConnection> {
  const { address, tls } = options;
  const probed = await answeringServers(address.servers, !tls.handshakeFirst, DIAL_TIMEOUT_MS, signal);
  const encrypt = address.tls || tls.enabled || probed.tlsRequired;
  const config: ConnectionOptions = {
    servers: [...probed.servers],
    name,
    noEcho: true,
    timeout: DIAL_TIMEOUT_MS,
    reconnect: false,
    pingInterval: PING_EVERY_MS,
    maxPingOut: 2,
    noAsyncTraces: true,
    // Null: never upgrade on the server's mere offer, as RoadRunner's client does not.
    tls: encrypt ? await tlsOptions(options) : null,
    ...(await credentials(options)),
  };
  let client: Client;
  try {
    client = await connect(config);
  } catch (error) {
    throw refusedConnection(error, address.tls || tls.enabled);
  }
  return NatsSession.start(client, clock);
}

/** A connection of the client library; see `NatsConnection`. */
class NatsSession implements NatsConnection {
  readonly ended: Promise<unknown>;
  readonly maxPayloadBytes: number;
  readonly serverVersion: string;
  readonly #client: Client;
  readonly #api: JetStreamManager;
  readonly #requests: RequestTable;
  readonly #answers: string;
  #failure: unknown;

  private constructor(client: Client, api: JetStreamManager, clock: Clock) {
    this.#client = client;
    this.#api = api;
    this.#requests = new RequestTable(clock);
    this.maxPayloadBytes = client.info?.max_payload ?? 1_048_576;
    this.serverVersion = client.info?.version ?? "0.0.0";
    this.#answers = `${createInbox()}.`;
    client.subscribe(`${this.#answers}*`, {
      callback: (error, message) => {
        this.#guarded(error, message, this.#answered);
      },
    });
    this.ended = client.closed().then((error) => {
      const reason = this.#failure ?? (error instanceof Error ? error : undefined);
      this.#requests.close(reason);
      return reason;
    });
    void this.#watch();
  }

  static async start(client: Client, clock: Clock): Promise<NatsSession> {
    return new NatsSession(client, await client.jetstreamManager({ checkAPI: false, timeout: API_TIMEOUT_MS }), clock);
  }

  request(subject: string, data: Uint8Array, headers: WireHeaders, timeoutMs: number, handler: ReplyHandler): void {
    const token = this.#requests.add(subject, timeoutMs, handler);
    if (token === undefined) return;
    const reply = this.#answers + token;
    try {
      if (headers.length === 0) this.#client.publish(subject, data, { reply });
      else this.#client.publish(subject, data, { reply, headers: toMessageHeaders(headers) });
    } catch (error) {
      this.#requests.take(token)?.failed(failureOf(error, subject));
    }
  }

  send(subject: string, data: Uint8Array, reply?: string): void {
    try {
      this.#client.publish(subject, data, reply === undefined ? {} : { reply });
    } catch {
      // The connection is over, and so is whatever this was about.
    }
  }

  openInbox(receive: (message: NatsMessage) => void): NatsInbox {
    const subject = createInbox();
    const subscription = this.#client.subscribe(subject, {
      callback: (error, message) => {
        this.#guarded(error, message, (received) => {
          receive(toNatsMessage(received));
        });
      },
    });
    return {
      subject,
      drain: async () => {
        // Without a connection nothing is on its way; the library's own promise may never settle then.
        await Promise.race([subscription.drain().catch(() => undefined), this.ended]);
      },
    };
  }

  async flush(): Promise<void> {
    const lost = this.ended.then((cause) => {
      throw new ConnectionLostError({ cause });
    });
    lost.catch(() => undefined);
    await Promise.race([this.#client.flush(), lost]);
  }

  streamInfo(stream: string): Promise<StreamDescription> {
    return this.#call(`STREAM.INFO.${stream}`, () => this.#api.streams.info(stream));
  }

  addStream(settings: StreamSettings): Promise<StreamDescription> {
    return this.#call(`STREAM.CREATE.${settings.name}`, () =>
      this.#api.streams.add(settings as unknown as StreamConfig),
    );
  }

  updateStream(settings: StreamSettings): Promise<StreamDescription> {
    const { name } = settings;
    return this.#call(`STREAM.UPDATE.${name}`, () =>
      this.#api.streams.update(name, settings as unknown as StreamConfig),
    );
  }

  async deleteStream(stream: string): Promise<void> {
    await this.#call(`STREAM.DELETE.${stream}`, () => this.#api.streams.delete(stream));
  }

  consumerInfo(stream: string, consumer: string): Promise<ConsumerDescription> {
    const api = `CONSUMER.INFO.${stream}.${consumer}`;
    return this.#call(api, async () => described(await this.#api.consumers.info(stream, consumer)));
  }

  addConsumer(stream: string, settings: ConsumerSettings): Promise<ConsumerDescription> {
    const config = settings as unknown as Partial<ConsumerConfig>;
    return this.#call(`CONSUMER.CREATE.${stream}`, async () =>
      described(await this.#api.consumers.add(stream, config)),
    );
  }

  updateConsumer(stream: string, consumer: string, changes: ConsumerSettings): Promise<ConsumerDescription> {
    const config = changes as unknown as Partial<ConsumerConfig>;
    const api = `CONSUMER.CREATE.${stream}`;
    return this.#call(api, async () => described(await this.#api.consumers.update(stream, consumer, config)));
  }

  async deleteConsumer(stream: string, consumer: string): Promise<void> {
    await this.#call(`CONSUMER.DELETE.${stream}.${consumer}`, () => this.#api.consumers.delete(stream, consumer));
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.ended;
  }

  async #call<T>(api: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw failureOf(error, `$JS.API.${api}`);
    }
  }

  readonly #answered = (message: Msg): void => {
    const handler = this.#requests.take(message.subject.slice(this.#answers.length));
    if (handler === undefined) return;
    const { data } = message;
    const code = data.length === 0 ? message.headers?.code : undefined;
    if (code === NO_RESPONDERS) handler.failed(new NoRespondersError("of the request"));
    else handler.replied(data);
  };

  /** The library stops reading, and says nothing, when a callback throws: an error of ours must end the session. */
  #guarded(error: NatsError | null, message: Msg, receive: (message: Msg) => void): void {
    try {
      if (error !== null) throw error;
      receive(message);
    } catch (problem) {
      this.#failure ??= problem;
      void this.#client.close();
    }
  }

  /** Never rejects. Ends with the connection. */
  async #watch(): Promise<void> {
    for await (const status of this.#client.status()) {
      const { permissionContext } = status;
      if (permissionContext?.operation === "publish") this.#requests.refuse(permissionContext.subject, status);
    }
  }
}

/** The library's words for the same settings are enumerations with these values. */
function described(consumer: ConsumerInfo): ConsumerDescription {
  return consumer as unknown as ConsumerDescription;
}

function toMessageHeaders(headers: WireHeaders): MsgHdrs {
  const written = newHeaders();
  for (const [name, values] of headers) for (const value of values) written.append(name, value);
  return written;
}

function toNatsMessage(message: Msg): NatsMessage {
  const { headers } = message;
  return {
    subject: message.subject,
    reply: message.reply ?? "",
    data: message.data,
    headers: headers === undefined ? undefined : new Map(headers),
    status: headers?.code ?? 0,
    description: headers?.description ?? "",
  };
}

async function tlsOptions({ tls }: NatsServerOptions): Promise<TlsOptions> {
  // Read here: while the library reads files itself, an error of the socket would have no listener.
  const [ca, cert, key] = await Promise.all([pem(tls.caPath), pem(tls.certPath), pem(tls.keyPath)]);
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls.handshakeFirst ? { handshakeFirst: true } : {}),
  };
}

async function pem(path: string): Promise<string | undefined> {
  if (path === "") return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new NatsRefusedError(`file ${path} can not be read: ${messageOf(error)}`, { cause: error });
  }
}

async function credentials(options: NatsServerOptions): Promise<Partial<ConnectionOptions>> {
  const { address, credsPath, nkeySeed } = options;
  if (credsPath !== "") {
    return { authenticator: credsAuthenticator(new TextEncoder().encode((await pem(credsPath)) ?? "")) };
  }
  if (nkeySeed !== "") return { authenticator: nkeyAuthenticator(new TextEncoder().encode(nkeySeed)) };
  const token = options.token === "" ? address.token : options.token;
  if (token !== undefined) return { token };
  const user = options.user === "" ? address.user : options.user;
  if (user === undefined) return {};
  return { user, pass: options.user === "" ? (address.pass ?? "") : options.pass };
}

/** Never contains what was sent: the library's errors do not either. */
function refusedConnection(error: unknown, wantsTls: boolean): NatsRefusedError {
  const code = error instanceof NatsError ? error.code : "";
  if (code === "AUTHORIZATION_VIOLATION" || code === "AUTHENTICATION_TIMEOUT") {
    return new NatsRefusedError("the server refused the credentials; check user, pass, token, creds or nkey_seed", {
      cause: error,
    });
  }
  if (code === "SERVER_OPT_NA" && wantsTls) {
    return new NatsRefusedError("the server does not offer TLS, which was asked for", { cause: error });
  }
  return new NatsRefusedError(`the connection could not be opened: ${messageOf(error)}`, { cause: error });
}

function failureOf(error: unknown, subject: string): RequestFailure {
  if (!(error instanceof NatsError)) return new JetStreamError(messageOf(error), 0, { cause: error });
  const { api_error: api, code } = error;
  if (api !== undefined) return new JetStreamError(api.description, api.err_code ?? 0, { cause: error });
  switch (code) {
    case "503":
      return new NoRespondersError(subject, { cause: error });
    case "TIMEOUT":
      return new NoAnswerError(subject, { cause: error });
    case "PERMISSIONS_VIOLATION":
      return new PermissionError(subject, { cause: error });
    case "CONNECTION_CLOSED":
    case "CONNECTION_DRAINING":
    case "DISCONNECT":
      return new ConnectionLostError({ cause: error });
    default:
      return new JetStreamError(messageOf(error), 0, { cause: error });
  }
}
