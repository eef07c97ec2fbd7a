import * as z from "zod";
import { bool, int, oneOf, text, textList } from "./leaves.ts";
import { named } from "./notes.ts";

const LEVELS = ["debug", "info", "warn", "error", "dpanic", "panic", "fatal"] as const;

/** Zero is the default, as in RoadRunner. */
const fileSchema = z.object({
  log_output: text(""),
  max_size: int(100, 0),
  max_age: int(24, 0),
  max_backups: int(10, 0),
  compress: bool(false),
});

/** Keys of the root logger and of each channel; an empty text means "as the root", or RoadRunner's default there. */
const loggerShape = {
  mode: text(""),
  level: oneOf("", ["", ...LEVELS]),
  encoding: oneOf("", ["", "console", "json"]),
  output: textList([]),
  err_output: textList([]),
  error_output: textList([]),
  line_ending: text(""),
  skip_line_ending: bool(false),
  format: text(""),
  time_format: text(""),
  file_logger_options: fileSchema,
};

const channelSchema = z.object(loggerShape);

/** Section `logs`. */
export const logsSchema = z.object({ ...loggerShape, channels: named(channelSchema) });

export type LoggerInput = z.output<typeof channelSchema>;
