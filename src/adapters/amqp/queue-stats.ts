import type { CancelSignal } from "../../domain/cancel-signal.ts";
import type { DriverStats } from "../../domain/ports/driver.ts";
import type { AmqpConnection } from "./amqplib-session.ts";
import { brokerReplyIn, translate } from "./broker-errors.ts";

const NOT_FOUND = 404;
const ACCESS_REFUSED = 403;

/**
 * Counts of a queue and of the delay queues in front of it. A queue that is not there is empty; one that may not be
 * looked at is unknown.
 *
 * @param unsettled deliveries the daemon holds
 * @throws {DriverUnavailableError}
 */
export async function readStats(
  connection: AmqpConnection,
  queue: string,
  delayQueues: readonly string[],
  unsettled: number,
  signal: CancelSignal,
): Promise<DriverStats> {
  const counts = await messagesIn(connection, queue === "" ? delayQueues : [queue, ...delayQueues], signal);
  const active = queue === "" ? 0 : counts.get(queue);
  let delayed = 0;
  for (const name of delayQueues) delayed += counts.get(name) ?? 0;
  return { active, delayed, reserved: unsettled };
}

/** Asking for a queue that is not there costs the channel, so the rest is asked on the next. */
async function messagesIn(
  connection: AmqpConnection,
  queues: readonly string[],
  signal: CancelSignal,
): Promise<ReadonlyMap<string, number | undefined>> {
  const counts = new Map<string, number | undefined>();
  let next = 0;
  while (next < queues.length) {
    try {
      await connection.briefly(signal, async (channel) => {
        for (; next < queues.length; next++) {
          const { queue, messageCount } = await channel.checkQueue(queues[next] ?? "");
          counts.set(queue, messageCount);
        }
      });
    } catch (error) {
      const name = queues[next] ?? "";
      const code = brokerReplyIn(error)?.code;
      if (code !== NOT_FOUND && code !== ACCESS_REFUSED) throw translate(error, `queue ${JSON.stringify(name)}`);
      counts.set(name, code === NOT_FOUND ? 0 : undefined);
      next += 1;
    }
  }
  return counts;
}
