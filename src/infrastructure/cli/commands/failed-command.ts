import type { RpcClient } from "../../../adapters/rpc/rpc-client.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { withDaemon } from "../daemon-client.ts";
import type { FailedRequest, GlobalOptions, Output } from "../flags.ts";
import { jsonText, table } from "../table.ts";

/** A job of the failed store, as `jobsd.FailedList` and `FailedGet` tell it. */
interface FailedJob {
  readonly id?: string;
  readonly job_id?: string;
  readonly job?: string;
  readonly pipeline?: string;
  readonly reason?: string;
  readonly error?: string;
  readonly attempts?: number;
  readonly failed_at?: string;
}

interface RetryResult {
  readonly id?: string;
  readonly ok?: boolean;
  readonly error?: string;
  readonly pipeline?: string;
}

const LIST_HEAD = ["ID", "FAILED AT", "PIPELINE", "JOB", "REASON", "ATTEMPTS", "ERROR"];

/** Body of `failed`: jobs that were given up are listed, shown, run again and deleted. */
export function manageFailed(options: GlobalOptions, request: FailedRequest, output: Output): Promise<number> {
  return withDaemon(options, async (client) => {
    switch (request.t) {
      case "list":
        return list(client, request, output);
      case "show":
        output.writeOut(jsonText(await client.call("jobsd.FailedGet", { id: request.id })));
        return EXIT_CODES.ok;
      case "retry":
        return retry(client, request, output);
      case "delete":
        return remove(client, request, output);
    }
  });
}

async function list(client: RpcClient, request: FailedRequest & { t: "list" }, output: Output): Promise<number> {
  const { pipeline, reason, limit, json } = request;
  const jobs: FailedJob[] = [];
  let cursor = "";
  do {
    const call = { pipeline, reason, limit: Math.min(1000, limit - jobs.length), cursor };
    const page = (await client.call("jobsd.FailedList", call)) as { jobs?: FailedJob[]; next_cursor?: string };
    jobs.push(...(page.jobs ?? []));
    cursor = page.next_cursor ?? "";
  } while (cursor !== "" && jobs.length < limit);
  const rows = jobs.map((job) => [
    job.id ?? "",
    job.failed_at ?? "",
    job.pipeline ?? "",
    job.job ?? "",
    job.reason ?? "",
    (job.attempts ?? 0).toString(),
    job.error ?? "",
  ]);
  output.writeOut(json ? jsonText(jobs) : table(LIST_HEAD, rows, output));
  if (cursor !== "" && !json) output.writeOut(`There are more: --limit ${limit * 10} shows them.\n`);
  return EXIT_CODES.ok;
}

async function retry(client: RpcClient, request: FailedRequest & { t: "retry" }, output: Output): Promise<number> {
  const { ids, pipeline, to, limit, json } = request;
  const call = ids.length > 0 ? { ids, to } : { pipeline, to, limit };
  const answer = (await client.call("jobsd.FailedRetry", call)) as { results?: RetryResult[]; more?: boolean };
  const results = answer.results ?? [];
  const rows = results.map(({ id = "", ok = false, error = "", pipeline: target = "" }) => [
    id,
    target,
    ok ? "pushed" : "failed",
    error,
  ]);
  output.writeOut(json ? jsonText(answer) : table(["ID", "PIPELINE", "RESULT", "ERROR"], rows, output));
  if (answer.more === true && !json) output.writeOut("The pipeline has more failed jobs: run it again.\n");
  return results.every(({ ok = false }) => ok) ? EXIT_CODES.ok : EXIT_CODES.failure;
}

async function remove(client: RpcClient, request: FailedRequest & { t: "delete" }, output: Output): Promise<number> {
  const { ids, pipeline, json } = request;
  const call = ids.length > 0 ? { ids } : { pipeline };
  const { deleted = 0 } = (await client.call("jobsd.FailedDelete", call)) as { deleted?: number };
  output.writeOut(json ? jsonText({ deleted }) : `${deleted} deleted\n`);
  return EXIT_CODES.ok;
}
