import * as z from "zod";
import { laterSection, named, noEffect, oneOf, text, textList } from "./leaves.ts";

const LEVELS = ["debug", "info", "warn", "error", "dpanic", "panic", "fatal"] as const;

/** Keys of the root logger and of each channel; an empty text means "as the root", or RoadRunner's default there. */
const loggerShape = {
  mode: text(""),
  level: oneOf("", ["", ...LEVELS]),
  encoding: oneOf("", ["", "console", "json"]),
  output: textList([]),
  line_ending: text(""),
  err_output: noEffect("errors of the logger itself go to stderr"),
  error_output: noEffect("errors of the logger itself go to stderr"),
  file_logger_options: laterSection("files are not rotated, and log_output is not written: name the file in output"),
  format: laterSection("the layout follows mode and encoding"),
  time_format: laterSection("the layout of time follows mode and encoding"),
  skip_line_ending: laterSection("every record ends with line_ending"),
};

const channelSchema = z.object(loggerShape);

/** Section `logs`. */
export const logsSchema = z.object({ ...loggerShape, channels: named(channelSchema) });

export type LoggerInput = z.output<typeof channelSchema>;
