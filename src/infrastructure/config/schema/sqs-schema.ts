import * as z from "zod";
import { text } from "./leaves.ts";

/** Section `sqs`: the SQS service of all sqs pipelines; what is absent comes from the environment, as with every AWS client. */
export const sqsSchema = z.object({
  key: text(""),
  secret: text(""),
  region: text(""),
  session_token: text(""),
  endpoint: text(""),
});

export type SqsInput = z.output<typeof sqsSchema>;
