import * as z from "zod";
import { command, later, laterSection, noEffect, text, textMap } from "./leaves.ts";

/** Section `server`: how worker processes are started. */
export const serverSchema = z.object({
  command: command(),
  env: textMap(),
  relay: text("pipes"),
  relay_timeout: noEffect("a worker has jobs.pool.allocate_timeout to answer after its start"),
  user: later(text(""), "workers run as the user of the daemon", ""),
  group: later(text(""), "workers run with the group of the daemon", ""),
  on_init: laterSection("the command is not run"),
});
