import type { Tracer } from "../domain/ports/tracer.ts";
import type { DeclarePipeline } from "./declare-pipeline.ts";
import type { DestroyPipelines } from "./destroy-pipelines.ts";
import { traced } from "./job-spans.ts";
import type { ListPipelines } from "./list-pipelines.ts";
import type { PausePipelines } from "./pause-pipelines.ts";
import type { ResumePipelines } from "./resume-pipelines.ts";
import type { StatPipelines } from "./stat-pipelines.ts";

/** Use cases about pipelines. */
interface PipelineUseCases {
  readonly declare: Pick<DeclarePipeline, "execute">;
  readonly destroy: Pick<DestroyPipelines, "execute">;
  readonly pause: Pick<PausePipelines, "execute">;
  readonly resume: Pick<ResumePipelines, "execute">;
  readonly list: Pick<ListPipelines, "execute">;
  readonly stat: Pick<StatPipelines, "execute">;
}

/** The same use cases, each call in a span of its own while tracing is on. RoadRunner's names of spans. */
export function withSpans(useCases: PipelineUseCases, tracer: Tracer): PipelineUseCases {
  const { declare, destroy, pause, resume, list, stat } = useCases;
  const pipelines = (names: readonly string[]): Record<string, string> => ({ "rr.pipeline": names.join(",") });
  return {
    declare: {
      execute: (options) =>
        traced(tracer, "declare_pipeline", pipelines([options["name"] ?? options["queue"] ?? ""]), () =>
          declare.execute(options),
        ),
    },
    destroy: {
      execute: (names) => traced(tracer, "destroy_pipeline", pipelines(names), () => destroy.execute(names)),
    },
    pause: { execute: (names) => traced(tracer, "pause_pipeline", pipelines(names), () => pause.execute(names)) },
    resume: { execute: (names) => traced(tracer, "resume_pipeline", pipelines(names), () => resume.execute(names)) },
    list: {
      execute: () => {
        if (tracer.enabled) tracer.start("list_pipelines", { kind: "server", parent: {}, attributes: {} }).end();
        return list.execute();
      },
    },
    stat: { execute: () => traced(tracer, "stat", {}, () => stat.execute()) },
  };
}
