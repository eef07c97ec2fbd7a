/** The part of `process` that signals need. */
export interface SignalProcess {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
}

export interface SignalActions {
  /** The first stop signal. Called at most once. */
  readonly stop: (signal: NodeJS.Signals) => void;
  /** Every further one: kill the workers and leave with exit code 1, at once. */
  readonly forceExit: (signal: NodeJS.Signals) => void;
  /** SIGHUP. */
  readonly hangUp: () => void;
  /** SIGUSR2, unless the daemon is stopping already. Called at most once; a stop signal after it forces the exit. */
  readonly restart: () => void;
}

const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGQUIT", "SIGABRT"] as const;

/**
 * Signals that must change nothing: Node would open its inspector on SIGUSR1, and a closed pipe is an error of its
 * write, not an end of the process.
 */
const IGNORED_SIGNALS = ["SIGUSR1", "SIGPIPE"] as const;

/**
 * Listens to the signals of `serve`.
 *
 * @returns removes the listeners
 */
export function listenToSignals(actions: SignalActions, source: SignalProcess = process): () => void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      actions.forceExit(signal);
      return;
    }
    stopping = true;
    actions.stop(signal);
  };
  const hangUp = (): void => {
    actions.hangUp();
  };
  const restart = (): void => {
    if (stopping) return;
    stopping = true;
    actions.restart();
  };
  const listeners: readonly (readonly [NodeJS.Signals, (signal: NodeJS.Signals) => void])[] = [
    ...STOP_SIGNALS.map((signal) => [signal, stop] as const),
    ...IGNORED_SIGNALS.map((signal) => [signal, () => undefined] as const),
    ["SIGHUP", hangUp],
    ["SIGUSR2", restart],
  ];
  for (const [signal, listener] of listeners) source.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) source.off(signal, listener);
  };
}
