/** Lets real time pass. */
export function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}

/** Resolves when the condition holds. @throws it did not in time; `what` says what was waited for */
export async function until(
  what: string,
  timeoutMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`);
    await pause(20);
  }
}

/** What the call was rejected with. @throws it was not, or not in time */
export async function rejection(what: string, timeoutMs: number, call: () => unknown): Promise<unknown> {
  const ended = bounded(what, timeoutMs, async () => {
    try {
      await call();
    } catch (error) {
      return { error };
    }
    return undefined;
  });
  const outcome = await ended;
  if (outcome === undefined) throw new Error(`succeeded although it should have failed: ${what}`);
  return outcome.error;
}

/** The call's outcome. @throws it took longer */
export async function bounded<T>(what: string, timeoutMs: number, call: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`took longer than ${timeoutMs / 1000} s: ${what}`));
    }, timeoutMs);
  });
  try {
    return await Promise.race([call(), late]);
  } finally {
    clearTimeout(timer);
  }
}
