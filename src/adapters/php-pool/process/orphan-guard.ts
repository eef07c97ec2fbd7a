import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { messageOf } from "../../../domain/errors.ts";
import type { Clock, Timer } from "../../../domain/ports/clock.ts";
import type { Logger } from "../../../domain/ports/logger.ts";

/**
 * Keeps the process groups it reads about ("+ group", "- group"), and kills them when its input ends. That is when the
 * daemon is gone, however it went.
 */
const SCRIPT = `trap '' INT TERM HUP QUIT
groups=
while read -r change group; do
  case $change in
    +) groups="$groups $group" ;;
    -) kept=
       for each in $groups; do [ "$each" = "$group" ] || kept="$kept $each"; done
       groups=$kept ;;
  esac
done
for each in $groups; do kill -s KILL -- "-$each" 2>/dev/null; done`;

/** How long it stays when there is nothing to guard: the next worker mostly comes soon. */
const LINGER_MS = 1000;
/** A guard that ended is not started anew more often than that. */
const RESTART_MS = 1000;

/**
 * A tiny shell that outlives the daemon for a moment: when the daemon is killed, it kills the workers and what they have
 * started. Without it a worker inside a long job would go on until that job ends. There is one for all pools, and only
 * while there are workers.
 */
export class OrphanGuard {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #groups = new Set<number>();
  #child: ChildProcess | undefined;
  #timer: Timer | undefined;
  #warned = false;

  constructor(clock: Clock, log: Logger) {
    this.#clock = clock;
    this.#log = log;
  }

  /** @param group id of a process group, which is the pid of its leader */
  add(group: number): void {
    this.#groups.add(group);
    if (this.#child === undefined) this.#start();
    else this.#tell(`+ ${group}\n`);
  }

  /** The group is gone. */
  remove(group: number): void {
    if (!this.#groups.delete(group)) return;
    this.#tell(`- ${group}\n`);
    if (this.#groups.size > 0 || this.#child === undefined) return;
    this.#restartTimer(LINGER_MS, () => {
      if (this.#groups.size === 0) this.#end();
    });
  }

  #start(): void {
    let child: ChildProcess;
    try {
      child = spawn("/bin/sh", ["-c", SCRIPT, "jobsd-orphan-guard"], {
        stdio: ["pipe", "ignore", "ignore"],
        // A session of its own: signals to the daemon's group do not reach it.
        detached: true,
        env: {},
      });
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#child = child;
    child.on("error", (error) => {
      this.#failed(error);
    });
    child.on("exit", () => {
      this.#ended(child);
    });
    child.stdin?.on("error", () => undefined);
    // It must not keep the daemon alive: the end of the daemon is what it waits for.
    child.unref();
    (child.stdin as Socket).unref();
    this.#tell([...this.#groups].map((group) => `+ ${group}\n`).join(""));
  }

  #tell(lines: string): void {
    this.#child?.stdin?.write(lines);
  }

  #end(): void {
    this.#child?.stdin?.end();
    this.#child = undefined;
  }

  /** Somebody has ended it: the workers get another one. */
  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    if (this.#groups.size === 0) return;
    this.#restartTimer(RESTART_MS, () => {
      if (this.#child === undefined && this.#groups.size > 0) this.#start();
    });
  }

  #failed(error: unknown): void {
    this.#child = undefined;
    if (this.#warned) return;
    this.#warned = true;
    const reason = messageOf(error);
    this.#log.warn({ reason }, "busy workers would outlive a daemon that is killed: /bin/sh can not be started");
  }

  #restartTimer(delayMs: number, action: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.startTimer(delayMs, action);
  }
}
