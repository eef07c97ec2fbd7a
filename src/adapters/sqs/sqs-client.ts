import { getFips } from "node:crypto";
import {
  ChangeMessageVisibilityBatchCommand,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type BatchResultErrorEntry,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
  type SQSClientConfig,
} from "@aws-sdk/client-sqs";
import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { isKnownCode, kindOf, SqsFault } from "./sqs-fault.ts";
import type {
  EntryFaults,
  IncomingMessage,
  OutgoingMessage,
  ReceiveRequest,
  SqsSession,
  VisibilityChange,
} from "./sqs-session.ts";

/** Section `sqs`: how SQS is reached. Empty texts leave it to the environment, as the SDK reads it. */
export interface SqsAccess {
  readonly key: string;
  readonly secret: string;
  readonly sessionToken: string;
  readonly region: string;
  /** Base address of a server that is not Amazon's. */
  readonly endpoint: string;
}

/** The part of the environment that is read here and not by the SDK. */
export interface SqsEnvironment {
  readonly AWS_REGION?: string | undefined;
  readonly AWS_DEFAULT_REGION?: string | undefined;
  readonly AWS_ENDPOINT_URL?: string | undefined;
  readonly AWS_ENDPOINT_URL_SQS?: string | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 15_000;

/** Tries of a call that can be repeated without harm, made by the SDK. */
const MAX_ATTEMPTS = 3;

/** A server without regions of its own is signed for with this one. */
const FALLBACK_REGION = "us-east-1";

type Call<Output> = (
  client: SQSClient,
  options: { abortSignal: AbortSignal; requestTimeout: number },
) => Promise<Output>;

/**
 * The only user of the AWS SDK. Two clients over one set of sockets: one tries again by itself, the other, which sends
 * and polls, never does. See README.md for the SDK's traps.
 */
export class AwsSqsSession implements SqsSession {
  readonly #repeating: SQSClient;
  readonly #once: SQSClient;

  /** @param sockets requests that may be under way at once; further ones wait for a free socket */
  constructor(access: SqsAccess, environment: SqsEnvironment, sockets: number) {
    // What the SDK says about future versions of itself is for those who build this daemon.
    process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
    const agent = { keepAlive: true, maxSockets: sockets, scheduling: "lifo" } as const;
    const config: SQSClientConfig = {
      ...accessConfig(access, environment),
      // The host of a queue's URL is the server's own idea of its name; it need not resolve here.
      useQueueUrlAsEndpoint: false,
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        throwOnRequestTimeout: true,
        httpAgent: agent,
        httpsAgent: agent,
      },
      ...(getFips() === 1 ? { md5: false } : {}),
    };
    this.#once = new SQSClient({ ...config, maxAttempts: 1 });
    this.#repeating = new SQSClient({
      ...config,
      requestHandler: this.#once.config.requestHandler,
      credentials: this.#once.config.credentials,
      maxAttempts: MAX_ATTEMPTS,
    });
  }

  async createQueue(
    name: string,
    attributes: Readonly<Record<string, string>>,
    tags: Readonly<Record<string, string>>,
    signal: CancelSignal,
  ): Promise<string> {
    const command = new CreateQueueCommand({ QueueName: name, Attributes: attributes, tags });
    const { QueueUrl } = await call(this.#repeating, (client, options) => client.send(command, options), signal);
    return QueueUrl ?? missing("QueueUrl");
  }

  async queueUrl(name: string, owner: string, signal: CancelSignal): Promise<string> {
    const command = new GetQueueUrlCommand({
      QueueName: name,
      ...(owner === "" ? {} : { QueueOwnerAWSAccountId: owner }),
    });
    const { QueueUrl } = await call(this.#repeating, (client, options) => client.send(command, options), signal);
    return QueueUrl ?? missing("QueueUrl");
  }

  async queueAttributes(
    url: string,
    names: readonly string[],
    signal: CancelSignal,
  ): Promise<Readonly<Record<string, string>>> {
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] as "All"[] });
    const { Attributes } = await call(this.#repeating, (client, options) => client.send(command, options), signal);
    return Attributes ?? {};
  }

  async send(url: string, message: OutgoingMessage, signal: CancelSignal): Promise<void> {
    const command = new SendMessageCommand({ QueueUrl: url, ...sendFields(message) });
    await call(this.#once, (client, options) => client.send(command, options), signal);
  }

  async sendBatch(url: string, messages: readonly OutgoingMessage[], signal: CancelSignal): Promise<EntryFaults> {
    const Entries = messages.map((message, index) => ({ Id: index.toString(), ...sendFields(message) }));
    const command = new SendMessageBatchCommand({ QueueUrl: url, Entries });
    return entryFaults(await call(this.#once, (client, options) => client.send(command, options), signal));
  }

  async receive(request: ReceiveRequest, signal: CancelSignal): Promise<readonly IncomingMessage[]> {
    // Zeros are left out: the SDK would send them, and they would override what the queue itself says.
    const command = new ReceiveMessageCommand({
      QueueUrl: request.url,
      MaxNumberOfMessages: request.maxMessages,
      MessageSystemAttributeNames: ["All"],
      MessageAttributeNames: ["All"],
      ...(request.visibilitySec > 0 ? { VisibilityTimeout: request.visibilitySec } : {}),
      ...(request.waitSec > 0 ? { WaitTimeSeconds: request.waitSec } : {}),
    });
    const send: Call<{ Messages?: Message[] | undefined }> = (client, options) =>
      client.send(command, { ...options, requestTimeout: request.timeoutMs });
    const { Messages = [] } = await call(this.#once, send, signal);
    return Messages.map(incoming);
  }

  async deleteBatch(url: string, receiptHandles: readonly string[], signal: CancelSignal): Promise<EntryFaults> {
    const Entries = receiptHandles.map((handle, index) => ({ Id: index.toString(), ReceiptHandle: handle }));
    const command = new DeleteMessageBatchCommand({ QueueUrl: url, Entries });
    return entryFaults(await call(this.#repeating, (client, options) => client.send(command, options), signal));
  }

  async changeVisibilityBatch(
    url: string,
    changes: readonly VisibilityChange[],
    signal: CancelSignal,
  ): Promise<EntryFaults> {
    const Entries = changes.map(({ receiptHandle, visibilitySec }, index) => ({
      Id: index.toString(),
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: visibilitySec,
    }));
    const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries });
    return entryFaults(await call(this.#repeating, (client, options) => client.send(command, options), signal));
  }

  destroy(): void {
    this.#once.destroy();
    this.#repeating.destroy();
  }
}

function accessConfig(access: SqsAccess, environment: SqsEnvironment): SQSClientConfig {
  const { key, secret, sessionToken, region, endpoint } = access;
  const token = sessionToken === "" ? {} : { sessionToken };
  const named = [region, environment.AWS_REGION, environment.AWS_DEFAULT_REGION].find(isSet);
  return {
    ...(endpoint === "" ? {} : { endpoint }),
    ...(key === "" || secret === "" ? {} : { credentials: { accessKeyId: key, secretAccessKey: secret, ...token } }),
    ...(named !== undefined ? { region: named } : hasEndpoint(access, environment) ? { region: profileRegion } : {}),
  };
}

/** Whether the server is named, and so need not be Amazon's. */
export function hasEndpoint(access: SqsAccess, environment: SqsEnvironment): boolean {
  return [access.endpoint, environment.AWS_ENDPOINT_URL_SQS, environment.AWS_ENDPOINT_URL].some(isSet);
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && text !== "";
}

/** The region of the profile; where there is none, any will do for a server that is not Amazon's. */
async function profileRegion(): Promise<string> {
  const probe = new SQSClient({});
  try {
    return await probe.config.region();
  } catch {
    return FALLBACK_REGION;
  } finally {
    probe.destroy();
  }
}

/** @throws {SqsFault} */
async function call<Output>(client: SQSClient, send: Call<Output>, signal: CancelSignal): Promise<Output> {
  const controller = new AbortController();
  const abort = (): void => {
    controller.abort();
  };
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await send(client, { abortSignal: controller.signal, requestTimeout: REQUEST_TIMEOUT_MS });
  } catch (error) {
    throw toFault(error);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

interface SdkError {
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly Code?: string;
  readonly Error?: { readonly Code?: string };
  readonly $metadata?: { readonly httpStatusCode?: number };
}

function toFault(error: unknown): SqsFault {
  const sdk = (typeof error === "object" && error !== null ? error : { message: String(error) }) as SdkError;
  const { message = "" } = sdk;
  const codes = [sdk.code, sdk.name, sdk.Error?.Code, sdk.Code].filter((code) => typeof code === "string");
  const code = codes.find(isKnownCode) ?? sdk.name ?? "Error";
  // The SDK gives a connection that did not come about in time the name of an answer that did not come.
  const kind = message.includes("did not establish a connection")
    ? "unreachable"
    : kindOf(code, message, sdk.$metadata?.httpStatusCode);
  return new SqsFault(kind, code, message, error);
}

function entryFaults({ Failed = [] }: { Failed?: readonly BatchResultErrorEntry[] | undefined }): EntryFaults {
  const faults = new Map<number, SqsFault>();
  for (const { Id, Code = "Failed", Message = "", SenderFault } of Failed) {
    const kind = kindOf(Code, Message, SenderFault === true ? 400 : 500);
    faults.set(Number(Id), new SqsFault(kind, Code, Message));
  }
  return faults;
}

function sendFields({ body, attributes, delaySec, groupId, deduplicationId }: OutgoingMessage): {
  MessageBody: string;
  MessageAttributes: Record<string, { DataType: string; StringValue?: string; BinaryValue?: Uint8Array }>;
  DelaySeconds?: number;
  MessageGroupId?: string;
  MessageDeduplicationId?: string;
} {
  return {
    MessageBody: body,
    MessageAttributes: attributes,
    ...(delaySec === undefined ? {} : { DelaySeconds: delaySec }),
    ...(groupId === undefined ? {} : { MessageGroupId: groupId }),
    ...(deduplicationId === undefined ? {} : { MessageDeduplicationId: deduplicationId }),
  };
}

function incoming(message: Message): IncomingMessage {
  return {
    messageId: message.MessageId ?? "",
    receiptHandle: message.ReceiptHandle ?? "",
    body: message.Body ?? "",
    systemAttributes: message.Attributes ?? {},
    attributes: message.MessageAttributes ?? {},
  };
}

function missing(member: string): never {
  throw new SqsFault("server", "MalformedAnswer", `the answer has no ${member}`);
}
