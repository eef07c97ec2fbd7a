// A driver for jobsd in one file. Its broker is a directory: each job is a file, named by the time it is due, and renaming
// a file is what claims a job. Daemons of one machine may share it. It survives their end, not a loss of power.
//
//   ready/<due ms>-<order>-<id>.job   waits         first line: the job's fields as JSON; the rest: its payload
//   taken/<pid>-<id>/<same name>      delivered, not settled
//   dead/<same name>                  given up
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as jobsd from "jobsd/driver";

const KIND = "directory";
const digits = (ms) => Math.ceil(ms).toString().padStart(15, "0");
const isJob = (name) => name.endsWith(".job");
/** Files of others have no time in their name: they are due. */
const dueOf = (name) => (/^\d{15}-/.test(name) ? name.slice(0, 15) : "");
const ignoreMissing = (error) => (error.code === "ENOENT" ? undefined : Promise.reject(error));
const list = async (path) => (await readdir(path).catch(ignoreMissing)) ?? [];

/** @type {import("jobsd/driver").CreateDriverFactory} */
export const createDriverFactory = ({ section: { root = "." }, ...services }) => ({
  kind: KIND,
  optionNames: ["directory", "poll_ms"],
  async create({ pipeline, sink }) {
    const directory = pipeline.settings.string("directory", "");
    if (directory === "") throw new jobsd.InvalidPipelineError("option directory: name the directory of the queue");
    const pollMs = pipeline.settings.intInRange("poll_ms", 100, 10, 60_000);
    const driver = new DirectoryDriver(resolve(root, directory), pollMs, pipeline, sink, services);
    await driver.open();
    return driver;
  },
});

/** @implements {import("jobsd/driver").Driver} */
class DirectoryDriver {
  kind = KIND;
  capabilities = { storage: "broker", nativeDeadLetter: true, retryKeepsHeaders: true, prefetch: 1000 };
  link = jobsd.LINK_READY;
  #consuming = false;
  #fetching;
  #again = false;
  #timer;
  #last = { ms: 0, order: 0 };

  constructor(path, pollMs, pipeline, sink, { clock, logger }) {
    const taken = join(path, "taken", `${process.pid}-${randomUUID()}`);
    Object.assign(this, { queue: path, pollMs, pipeline, sink, clock, logger, taken });
    Object.assign(this, { ready: join(path, "ready"), dead: join(path, "dead") });
  }

  /** Makes the directories, and gives back what daemons had taken that are gone. */
  async open() {
    for (const path of [this.ready, this.dead, this.taken]) await mkdir(path, { recursive: true });
    for (const owner of await list(join(this.queue, "taken"))) {
      try {
        process.kill(Number.parseInt(owner, 10), 0);
      } catch {
        await this.#giveBack(join(this.queue, "taken", owner));
      }
    }
  }

  async push(job) {
    for (const { error } of await this.pushBatch([job])) throw error;
  }

  /** Files are written side by side, and appear in order. */
  async pushBatch(jobs) {
    const drafts = jobs.map((job) => this.#draft(job, job.headers, job.delaySec * 1000));
    const failures = [];
    const results = await Promise.allSettled(drafts.map((draft) => draft.write()));
    for (const [index, { reason }] of results.entries()) {
      const cause = reason ?? (await drafts[index].publish().catch((error) => error));
      if (cause === undefined) continue;
      const error = jobsd.JobsError.is(cause) ? cause : new jobsd.DriverUnavailableError(KIND, { cause });
      failures.push({ index, error, unknown: false });
    }
    this.creditAvailable();
    return failures;
  }

  async resume() {
    this.#consuming = true;
    this.creditAvailable();
  }

  /** When it resolves nothing is delivered any more. */
  async pause() {
    this.#consuming = false;
    this.#timer?.cancel();
    await this.#fetching;
  }

  creditAvailable() {
    this.#again = true;
    // Without credit there is nothing to look for: this is called again when there is some.
    if (this.#consuming && this.sink.credit > 0) this.#fetching ??= this.#fetch();
  }

  async stats() {
    const waiting = (await list(this.ready)).filter(isJob);
    const active = waiting.filter((name) => dueOf(name) <= digits(this.clock.nowMs())).length;
    const taken = (await list(join(this.queue, "taken"))).map((owner) => list(join(this.queue, "taken", owner)));
    return { active, delayed: waiting.length - active, reserved: (await Promise.all(taken)).flat().length };
  }

  async close() {
    await this.pause();
    this.link = jobsd.LINK_CLOSED;
    await this.#giveBack(this.taken).catch((err) => this.logger.warn({ err }, "jobs were not given back"));
  }

  /** Delivers what is due as long as there is credit. Never rejects. */
  async #fetch() {
    try {
      while (this.#again && this.#consuming) {
        this.#again = false;
        const now = digits(this.clock.nowMs());
        const due = (await list(this.ready)).filter((name) => isJob(name) && dueOf(name) <= now);
        for (const name of due.sort()) {
          if (!this.#consuming || this.sink.credit <= 0) break;
          await this.#take(name);
        }
      }
    } catch (err) {
      this.logger.warn({ pipeline: this.pipeline.name, err }, "directory can not be read, trying again");
    }
    this.#fetching = undefined;
    this.#timer?.cancel();
    if (this.#consuming) this.#timer = this.clock.startTimer(this.pollMs, () => this.creditAvailable());
  }

  async #take(name) {
    const path = join(this.taken, name);
    await mkdir(this.taken, { recursive: true });
    const claim = rename(join(this.ready, name), path).then(() => true);
    if (!(await claim.catch(ignoreMissing))) return; // another daemon was faster
    const job = decode(await readFile(path), name, this.pipeline.name);
    let settled = false;
    const settle = async (settlement) => {
      if (this.link.t === "closed") throw new jobsd.StaleDeliveryError(KIND, job.id);
      if (settled) return this.logger.error({ jobId: job.id }, "delivery was settled twice");
      settled = true;
      await this.#settle(job, name, settlement).catch((cause) => {
        if (cause.code === "ENOENT") throw new jobsd.StaleDeliveryError(KIND, job.id);
        settled = false;
        throw new jobsd.DriverUnavailableError(KIND, { cause });
      });
    };
    this.sink.deliver({ job, queue: this.queue, settle }, job.priority || this.pipeline.priority);
  }

  async #settle(job, name, settlement) {
    const path = join(this.taken, name);
    if (settlement.t === "ack" || settlement.t === "nack") return rm(path);
    if (settlement.t === "dead") return rename(path, join(this.dead, name));
    // Its old name, hence its old place.
    if (settlement.t === "release") return rename(path, join(this.ready, name));
    // Requeue, retry. The copy first: if the daemon dies in between, the job runs twice, and is not lost.
    const draft = this.#draft(job, settlement.headers, settlement.delayMs);
    await draft.write().then(draft.publish);
    return rm(path);
  }

  /** A file that is written under a name nobody looks at, and then appears whole. */
  #draft({ id, name, priority, autoAck, payload }, headers, delayMs) {
    const { ms, order } = (this.#last = {
      ms: Math.max(this.#last.ms, this.clock.nowMs()),
      order: this.#last.order + 1,
    });
    const file = join(this.ready, `${digits(ms + delayMs)}-${order.toString().padStart(9, "0")}-${randomUUID()}`);
    const fields = JSON.stringify({ jobsd: 1, id, name, priority, autoAck, headers });
    const bytes = Buffer.concat([Buffer.from(`${fields}\n`), payload]);
    const write = async () => {
      if (this.link.t === "closed") throw new jobsd.PipelineStateError(`pipeline ${this.pipeline.name} is closed`);
      await mkdir(this.ready, { recursive: true });
      await writeFile(`${file}.draft`, bytes);
    };
    return { write, publish: () => rename(`${file}.draft`, `${file}.job`) };
  }

  async #giveBack(path) {
    for (const name of await list(path)) await rename(join(path, name), join(this.ready, name));
    await rm(path, { recursive: true, force: true });
  }
}

/** A file that is not ours is a job all the same: its content is the payload. */
function decode(bytes, file, pipeline) {
  const end = bytes.indexOf("\n");
  try {
    const { jobsd: version, headers, ...fields } = JSON.parse(bytes.subarray(0, end).toString());
    if (version !== 1) throw new Error("not ours");
    const payload = bytes.subarray(end + 1);
    return new jobsd.Job({ ...fields, pipeline, payload, headers: jobsd.toHeaders(Object.entries(headers)) });
  } catch {
    return new jobsd.Job({ id: file, name: jobsd.DEDUCED_NAME, pipeline, payload: bytes });
  }
}
