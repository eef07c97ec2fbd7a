import * as z from "zod";
import { bool, command, duration, text, textMap } from "./leaves.ts";
import { noEffect } from "./notes.ts";

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
  relay: text("pipes"),
  relay_timeout: noEffect("a worker has jobs.pool.allocate_timeout to answer after its start"),
  user: text(""),
  group: text(""),
  on_init: onInitSchema,
});
