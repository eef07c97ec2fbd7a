import type { Session } from "../shared/link.ts";

/** The server answered, and refused. `word` is beanstalkd's own, e.g. `NOT_FOUND`. */
export class BeanstalkRefusal extends Error {
  readonly word: string;
  /** What stood behind the word, e.g. the id of a job. */
  readonly detail: string;

  constructor(word: string, detail = "") {
    super(detail === "" ? word : `${word} ${detail}`);
    this.name = "BeanstalkRefusal";
    this.word = word;
    this.detail = detail;
  }
}

/** The connection ended before there was an answer; the server may have carried the command out all the same. */
export class ConnectionLostError extends Error {
  constructor(reason: unknown) {
    super(reason instanceof Error ? reason.message : "the connection was closed", { cause: reason });
    this.name = "ConnectionLostError";
  }
}

export type BeanstalkFailure = BeanstalkRefusal | ConnectionLostError;

/** Called exactly once, never before the call it belongs to returned; must not throw. */
export type Answered = (failure: BeanstalkFailure | undefined, id: string, body: Buffer) => void;

/** What the server says of a job. */
export interface JobStats {
  readonly priority: number;
  readonly ttrSec: number;
  /** Seconds since it was put. */
  readonly ageSec: number;
  readonly reserves: number;
  readonly releases: number;
}

export interface TubeStats {
  readonly ready: number;
  readonly reserved: number;
  readonly delayed: number;
  readonly buried: number;
}

/**
 * One connection to beanstalkd. Answers come in the order of the commands; a command behind a waiting `reserve` is
 * answered when that one is. Names and numbers must have been checked before. `beanstalk-connection.ts` implements it.
 */
export interface BeanstalkSession extends Session {
  /** True from the moment on in which it can not be used any more. */
  readonly closed: boolean;
  /** Random name of the server's process: another one after a restart. Empty if the server has none. */
  readonly instance: string;
  /** Longest body the server takes, in bytes. */
  readonly maxJobBytes: number;

  /** Writes of the calls inside leave together. */
  together(calls: () => void): void;

  put(put: PutCommand, answered: Answered): void;
  reserve(timeoutSec: number, answered: Answered): void;
  delete(id: string, answered: Answered): void;
  release(id: string, priority: number, delaySec: number, answered: Answered): void;
  bury(id: string, priority: number, answered: Answered): void;
  touch(id: string, answered: Answered): void;

  /** @throws {BeanstalkFailure} */
  use(tube: string): Promise<void>;
  /** From now on `reserve` takes jobs of this tube and no other. @throws {BeanstalkFailure} */
  watchOnly(tube: string): Promise<void>;
  /** @throws {BeanstalkFailure} */
  statsJob(id: string): Promise<JobStats>;
  /** @throws {BeanstalkFailure} */
  statsTube(tube: string): Promise<TubeStats>;

  /** Ends it at once; what is unanswered fails. A job this connection holds is free again. */
  destroy(reason?: unknown): void;
}

export interface PutCommand {
  readonly priority: number;
  readonly delaySec: number;
  readonly ttrSec: number;
  readonly body: Buffer;
}
