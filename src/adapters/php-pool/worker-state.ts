import { WORKER_STATES, type WorkerStateName } from "../../domain/ports/worker-pool.ts";

/*
 * inactive         started, handshake not finished
 * ready            idle, may be given a job
 * working          has a job
 * invalid          leaves after its answer (it asked to be replaced, or broke the protocol)
 * stopping         stop frame sent or kill under way
 * stopped          process ended with code 0
 * destroyed        ended on purpose, not replaced
 * maxJobsReached   has run as many jobs as it may
 * errored          process ended by itself with another code or by a signal, or its relay is unusable
 * idleTTLReached, ttlReached, maxMemoryReached   recycled by the supervisor
 * execTTLReached   killed because a job took too long
 */

/** States from which each state may be entered; a state that is not listed may be entered from any but `destroyed`. */
const SOURCES: Partial<Record<WorkerStateName, readonly WorkerStateName[]>> = {
  ready: ["inactive", "working"],
  working: ["ready"],
};

/** Whether a worker in state `from` may go to state `to`. */
export function canMove(from: WorkerStateName, to: WorkerStateName): boolean {
  if (to === "destroyed") return true;
  if (from === "destroyed") return false;
  return SOURCES[to]?.includes(from) ?? true;
}

/** The state after the attempt to go to `to`: refused moves leave the state as it is. */
export function moved(from: WorkerStateName, to: WorkerStateName): WorkerStateName {
  return canMove(from, to) ? to : from;
}

/** Whether a worker in this state has or can take a job. */
export function isActive(state: WorkerStateName): boolean {
  return state === "ready" || state === "working";
}

/** All names in the order of their numbers. */
export const WORKER_STATE_NAMES = Object.keys(WORKER_STATES).filter(
  (name): name is WorkerStateName => name in WORKER_STATES,
);
