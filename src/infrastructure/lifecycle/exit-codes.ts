/** Exit codes of the daemon and of every command. */
export const EXIT_CODES = {
  /** Stopped by a signal, command done, help shown. */
  ok: 0,
  /** Everything else: configuration refused, start failed, second signal, command failed. */
  failure: 1,
} as const;
