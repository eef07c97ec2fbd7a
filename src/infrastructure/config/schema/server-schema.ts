import * as z from "zod";
import { bool, command, duration, text, textMap } from "./leaves.ts";
import { later, noEffect } from "./notes.ts";

const onInitSchema = z.object({
  command: command(),
  exec_timeout: duration(60_000),
  exit_on_error: bool(false),
  env: textMap(),
  user: text(""),
});

/** Section `server`: how worker processes are started. */
export const serverSchema = z.object({
  command: command(),
  env: textMap(),
  relay: later(text("pipes"), "workers are spoken to over pipes", "pipes"),
  relay_timeout: noEffect("a worker has jobs.pool.allocate_timeout to answer after its start"),
  user: later(text(""), "workers run as the user of the daemon", ""),
  group: later(text(""), "workers run as the group of the daemon", ""),
  on_init: later(onInitSchema, "the command is not run"),
});
