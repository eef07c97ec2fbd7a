import type { CancelSignal } from "../../domain/cancel-signal.ts";

/** One open connection to a broker, with everything that dies together with it. */
export interface Session {
  /** Resolves, never rejects, once the session is over; with the reason if there is one. */
  readonly ended: Promise<unknown>;

  /** Ends it; `ended` resolves at the latest when this does. Idempotent; never rejects. */
  close(signal: CancelSignal): Promise<void>;
}

/**
 * Opens a session; called again and again, never twice at once.
 *
 * @throws the connection failed, or `signal` fired first: nothing is left open then
 */
export type OpenSession<S extends Session> = (signal: CancelSignal) => Promise<S>;
