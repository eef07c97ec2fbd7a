import * as z from "zod";
import { anyMap, text, textList } from "./leaves.ts";
import { named } from "./notes.ts";

/** A metric of the application that exists from the start; others are declared by RPC. */
const collectorSchema = z.object({
  type: text(""),
  help: text(""),
  namespace: text(""),
  subsystem: text(""),
  labels: textList([]),
  buckets: textList([]),
  objectives: anyMap(),
});

/** Section `metrics`: the endpoint Prometheus scrapes. */
export const metricsSchema = z.object({
  address: text("127.0.0.1:2112"),
  collect: named(collectorSchema),
});

export type MetricsInput = z.output<typeof metricsSchema>;
