import * as z from "zod";
import { duration, text } from "./leaves.ts";

/** Section `beanstalk`: the beanstalkd of all beanstalk pipelines. */
export const beanstalkSchema = z.object({
  addr: text("tcp://127.0.0.1:11300"),
  timeout: duration(30_000),
});

export type BeanstalkInput = z.output<typeof beanstalkSchema>;
