import { messageOf } from "../../../domain/errors.ts";
import { EXIT_CODES } from "../../lifecycle/exit-codes.ts";
import { withDaemon } from "../daemon-client.ts";
import type { GlobalOptions, Output } from "../flags.ts";

/** Body of `reset`: workers are replaced, running jobs end first. Failures are told and make the exit code 1. */
export function resetWorkers(options: GlobalOptions, wanted: readonly string[], output: Output): Promise<number> {
  return withDaemon(options, async (client) => {
    const tell = (line: string): void => {
      // Deployment scripts take any byte on stderr for a failure.
      if (!options.silent) output.writeError(`${line}\n`);
    };
    const plugins = wanted.length > 0 ? wanted : ((await client.call("resetter.List", true)) as string[]);
    const failures = await Promise.all(
      plugins.map(async (plugin) => {
        tell(`resetting plugin: [${plugin}] `);
        try {
          await client.call("resetter.Reset", plugin);
          tell(`plugin reset: [${plugin}]`);
          return undefined;
        } catch (error) {
          return `${plugin} was not reset: ${messageOf(error)}`;
        }
      }),
    );
    for (const failure of failures) if (failure !== undefined) output.writeError(`${failure}\n`);
    return failures.every((failure) => failure === undefined) ? EXIT_CODES.ok : EXIT_CODES.failure;
  });
}
