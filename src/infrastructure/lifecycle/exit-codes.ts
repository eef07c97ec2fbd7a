/** Exit codes of the daemon and of every command. */
export const EXIT_CODES = {
  /** Stopped by a signal, command done, help shown. */
  ok: 0,
  /** Everything else but `restart`: configuration refused, start failed, second signal, command failed. */
  failure: 1,
  /** Stopped by SIGUSR2: the supervisor is to start the daemon again, since Node 20 can not replace its own process. */
  restart: 75,
} as const;
