import * as z from "zod";
import { durationOrSeconds, int, text } from "./leaves.ts";

/** Section `status`: the endpoint probes ask. */
export const statusSchema = z.object({
  address: text(""),
  unavailable_status_code: int(503, 0, 599),
  check_timeout: durationOrSeconds(60_000),
});
