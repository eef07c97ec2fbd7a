import type { CancelSignal } from "../../domain/cancel-signal.ts";
import { DeadlineExceededError } from "../../domain/errors.ts";
import type { Clock } from "../../domain/ports/clock.ts";

/**
 * Waits no longer than the signal allows. The operation itself goes on; `late` gets what it brings after that, so
 * that it can be released.
 *
 * @throws the reason of the signal, or what the operation throws
 */
export function abandonable<T>(operation: Promise<T>, signal: CancelSignal, late?: (value: T) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    let waiting = true;
    const abandon = (): void => {
      waiting = false;
      reject(signal.reason instanceof Error ? signal.reason : new Error("the operation was given up"));
    };
    if (signal.aborted) abandon();
    else signal.addEventListener("abort", abandon, { once: true });
    operation.then(
      (value) => {
        signal.removeEventListener("abort", abandon);
        if (waiting) resolve(value);
        else late?.(value);
      },
      (error: unknown) => {
        signal.removeEventListener("abort", abandon);
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/**
 * Runs an operation that may hang with a signal that fires after `timeoutMs`.
 *
 * @throws {DeadlineExceededError} it took longer; what the operation throws otherwise
 */
export async function withTimeout<T>(
  clock: Clock,
  timeoutMs: number,
  operation: string,
  run: (signal: CancelSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = clock.startTimer(timeoutMs, () => {
    controller.abort(new DeadlineExceededError(operation, timeoutMs));
  });
  try {
    return await abandonable(run(controller.signal), controller.signal);
  } finally {
    timer.cancel();
  }
}
