import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { AmqpOptions } from "./amqp-options.ts";
import type { AmqpConnection } from "./amqplib-session.ts";
import { translate } from "./broker-errors.ts";

/** Which connection declares: an exclusive queue belongs to the one that consumes from it. */
export type Side = "publish" | "consume";

/**
 * Declares exchange, queue and binding, in this order, as far as the options say so. Repeating it is harmless.
 *
 * @throws {InvalidPipelineError} the broker refused, in its words
 * @throws {DriverUnavailableError} the connection was lost, or the signal fired
 */
export async function declareTopology(
  connection: AmqpConnection,
  { exchange, queue }: AmqpOptions,
  side: Side,
  signal: CancelSignal,
): Promise<void> {
  const declaresQueue = queue.declare && queue.name !== "" && !(queue.exclusive && side === "publish");
  if (!exchange.declare && !declaresQueue) return;
  let operation = "a channel";
  try {
    await connection.briefly(signal, async (channel) => {
      if (exchange.declare) {
        operation = `exchange ${JSON.stringify(exchange.name)}`;
        const flags = { durable: exchange.durable, autoDelete: exchange.autoDelete, internal: false };
        await channel.assertExchange(exchange.name, exchange.type, flags);
      }
      if (!declaresQueue) return;
      operation = `queue ${JSON.stringify(queue.name)}`;
      const flags = { durable: queue.durable, autoDelete: queue.autoDelete, exclusive: queue.exclusive };
      await channel.assertQueue(queue.name, { ...flags, arguments: queue.arguments });
      operation = `binding of queue ${JSON.stringify(queue.name)} to exchange ${JSON.stringify(exchange.name)}`;
      await channel.bindQueue(queue.name, exchange.name, queue.routingKey);
    });
  } catch (error) {
    throw translate(error, operation);
  }
}
