import type { CancelSignal } from "../domain/cancel-signal.ts";
import { DeadlineExceededError } from "../domain/errors.ts";
import type { Clock } from "../domain/ports/clock.ts";

/**
 * Runs an operation that may hang. After `timeoutMs` its signal fires and the call fails; what the operation does
 * later is its own business.
 *
 * @throws {DeadlineExceededError}
 */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  operation: string,
  run: (signal: CancelSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let expire: (error: Error) => void = () => undefined;
  const expired = new Promise<never>((_resolve, reject) => {
    expire = reject;
  });
  const timer = clock.startTimer(timeoutMs, () => {
    const error = new DeadlineExceededError(operation, timeoutMs);
    expire(error);
    controller.abort(error);
  });
  try {
    return await Promise.race([run(controller.signal), expired]);
  } finally {
    timer.cancel();
  }
}
