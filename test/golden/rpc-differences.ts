import { expect } from "@jest/globals";
import type { Outcome, Transcript } from "./rpc-transcripts.ts";

/** Where our answer is another one than RoadRunner's, on purpose. */
export interface Difference {
  /** Names of the recorded calls. */
  readonly names: RegExp;
  readonly reason: string;
  /** What is answered instead. */
  ours(theirs: Outcome, entry: Transcript): Outcome;
}

interface Stat {
  readonly pipeline: string;
  readonly priority?: number;
}

/** An error with this text in front, or in place, of the recorded one. */
function text(change: (theirs: string) => string): Difference["ours"] {
  return (theirs, { name, request }) => ({
    t: "error",
    codec: theirs.t === "closed" ? codecOf(name, request.hex) : theirs.codec,
    text: change(theirs.t === "error" ? theirs.text : ""),
  });
}

function value(change: (theirs: unknown) => unknown): Difference["ours"] {
  return (theirs) => ({
    t: "reply",
    codec: theirs.t === "closed" ? "proto" : theirs.codec,
    value: change(theirs.t === "reply" ? theirs.value : undefined),
  });
}

function codecOf(name: string, hex: string): string {
  return name.includes('json') || hex.startsWith("1508") ? "json" : "proto";
}

function stats(change: (stat: Stat) => object): Difference["ours"] {
  return value((theirs) => ({ stats: (theirs as { readonly stats: readonly Stat[] }).stats.map(change).sort(byText) }));
}

function byText(left: unknown, right: unknown): number {
  return JSON.stringify(sorted(left)) < JSON.stringify(sorted(right)) ? -1 : 1;
}

function sorted(object: unknown): unknown {
  return Object.fromEntries(Object.entries(object as object).sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** Jobs that wait, by pipeline. */
function waiting(jobs: Readonly<Record<string, number>>): Difference["ours"] {
  return stats((stat) => {
    const active = jobs[stat.pipeline];
    return active === undefined ? stat : { active, ...stat };
  });
}

/** Anything as long as it begins so: the text says method, field and what was expected. */
export const OWN_TEXT = "(our own text)";

/** The reviewed list. Everything that is not in it is the same as recorded. */
export const DIFFERENCES: readonly Difference[] = [
  {
    names: /^List: array as argument/,
    reason: "`[]` is what PHP makes of an empty map",
    ours: () => ({ t: "reply", codec: "json", value: { pipelines: ["idle", "mem"] } }),
  },
  {
    names: /^Push: negative delay/,
    reason: "a negative delay is a mistake of the producer",
    ours: text(() => "rpc_push: delay must not be negative, got -5"),
  },
  {
    names: /^Push: (no job|protobuf body under the RAW flag)/,
    reason: "says what is missing, as RoadRunner 2026 does",
    ours: text(() => "rpc_push: job is required"),
  },
  {
    names:
      /malformed JSON|wrong JSON type|not base64|JSON text instead|under the (JSON|MSGPACK) flag|as a string|string instead of list|number as value|wrong type|Version: string/,
    reason: "texts about bodies that can not be read name the method, the field and what was expected",
    ours: text(() => OWN_TEXT),
  },
  {
    names: /^Push: protobuf body under the GOB flag/,
    reason: "messages are not served in gob, which no client sends",
    ours: text(() => "jobs.Push is not served in GOB, use PROTO, JSON or MSGPACK"),
  },
  {
    names: /^PushBatch: empty id/,
    reason: "a batch is checked like single pushes",
    ours: text(() => "rpc_push_batch: empty ID field not allowed (job 1 of 1, id ; 0 jobs were pushed)"),
  },
  {
    names: /^PushBatch: second names an unknown pipeline/,
    reason: "a batch is checked as a whole first; the error says which job is meant and what became of the others",
    ours: text((theirs) => `${theirs} (job 2 of 3, id b4; 0 jobs were pushed)`),
  },
  {
    names: /^Pause: (already|never|unknown|empty|known)/,
    reason: "errors name their operation, as in RoadRunner 2026",
    ours: text((theirs) => `rpc_pause: ${theirs}`),
  },
  {
    names: /^Resume: (already|unknown|declared \[json\])/,
    reason: "errors name their operation, as in RoadRunner 2026",
    ours: text((theirs) => `rpc_resume: ${theirs}`),
  },
  {
    names: /^Stat: jobs pushed to a pipeline that is not consumed/,
    reason: "jobs that wait in a paused memory pipeline are counted",
    ours: waiting({ idle: 2 }),
  },
  {
    names: /^Stat: all paused/,
    reason: "jobs that wait in a paused memory pipeline are counted",
    ours: waiting({ idle: 4 }),
  },
  {
    names: /^Stat: paused, two jobs pushed/,
    reason: "jobs that wait in a paused memory pipeline are counted",
    ours: waiting({ idle: 4 }),
  },
  {
    names: /^Stat: after (Pause known, unknown|Resume unknown, known)/,
    reason: "all names are looked up before anything is paused or resumed",
    ours: stats((stat) => (stat.pipeline === "mem" ? { ...stat, ready: true } : stat)),
  },
  {
    names: /^Declare: (unknown driver|driver without its section)/,
    reason: "a pipeline that can not be made is an error, and not a success without a pipeline",
    ours: text(() => OWN_TEXT),
  },
  {
    names: /^Declare: no name \[proto\]/,
    reason: "a pipeline needs a name",
    ours: text(() => "rpc_declare_pipeline:\n\tjobs_plugin_declare: pipeline name is empty"),
  },
  {
    names: /^Declare: prefetch not a number/,
    reason: "says which option is wrong",
    ours: text(
      () => 'rpc_declare_pipeline:\n\tjobs_plugin_declare: option prefetch: expected an integer, got "abc"',
    ),
  },
  {
    names: /^Destroy: known and unknown/,
    reason: "says which pipelines are gone",
    ours: text((theirs) => `${theirs} (destroyed: dyn-json)`),
  },
  {
    names: /^jobs\.GetStats/,
    reason: "the name that Stat has in some betas is served",
    ours: value(() => ({ stats: expect.any(Array) })),
  },
  {
    names: /^Push: 1,001st delayed job/,
    reason: "delayed jobs are not limited in number",
    ours: (theirs) => ({
      t: "reply",
      codec: theirs.t === "closed" ? "" : theirs.codec,
      value: theirs.t !== "closed" && theirs.codec === "json" ? {} : "",
    }),
  },
  {
    names: /^informer\.Jobs: unknown plugin/,
    reason: "an empty list instead of null, on which PHP stumbles",
    ours: value(() => []),
  },
  {
    names: /^informer\.Jobs(: jobs| \[gob\])/,
    reason: "delayed jobs are not limited in number: the two of the calls before were taken",
    ours: value((theirs) =>
      (theirs as readonly { readonly Pipeline?: string }[]).map((stat) =>
        stat.Pipeline === "late" ? { ...stat, Delayed: 1002 } : stat,
      ),
    ),
  },
  {
    names: /^rpc\.Version \[raw\]/,
    reason: "RAW is served for every method",
    ours: () => ({ t: "reply", codec: "raw", value: '"2025.1.15"' }),
  },
  {
    names: /^rpc\.Version: no codec flag, empty body/,
    reason: "an empty body needs no decoder, as in goridge 4",
    ours: () => ({ t: "reply", codec: "gob", value: "2025.1.15" }),
  },
  {
    names: /^rpc\.Config/,
    reason: "it is the configuration of this daemon",
    ours: value(() => expect.stringMatching(/^eyJ2ZXJzaW9uIjoiMyI|^\{"version":"3"/)),
  },
  {
    names: /^PROTO with empty body/,
    reason: "the original ends",
    ours: text(() => "goridge_read_request_body: message type is not a proto"),
  },
  {
    names: /^duplicate sequence id in flight/,
    reason: "the original ends; here the daemon and its pipelines are still the same",
    ours: () => ({ t: "reply", codec: "json", value: { stats: expect.any(Array) } }),
  },
  {
    names: /^metrics\.Add: wrong label count/,
    reason: "values for labels the collector does not have are a mistake of the caller",
    ours: text(() => "metrics_plugin_add: collector c takes no labels, got 1 values"),
  },
  {
    names: /^metrics\.Add: negative value on a counter/,
    reason: "the original ends",
    ours: text(() => "metrics_plugin_add: counter cannot decrease in value: c2"),
  },
];
