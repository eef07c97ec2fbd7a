import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { WorkerStartError } from "../../domain/errors.ts";

/**
 * The file that is started for a program name. Looked up in the daemon's own PATH, as RoadRunner does: what
 * `server.env` makes of PATH is for the worker, not for finding it. Entries of PATH that are relative are skipped.
 *
 * @throws {WorkerStartError} there is no such program, or it may not be executed
 */
export async function resolveProgram(program: string, path: string | undefined, cwd: string): Promise<string> {
  if (program.includes("/")) return checked(program, resolve(cwd, program));
  let refused: string | undefined;
  for (const folder of (path ?? "").split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const file = join(folder, program);
    const found = await kindOf(file);
    if (found === "executable") return file;
    if (found === "refused") refused ??= file;
  }
  if (refused !== undefined) throw notExecutable(program, refused);
  throw new WorkerStartError(
    `worker program "${program}" was not found in PATH (${path ?? "not set"}): install it, or give its full path in server.command or pool.command`,
    { details: { program } },
  );
}

async function checked(program: string, file: string): Promise<string> {
  const found = await kindOf(file);
  if (found === "executable") return file;
  if (found === "refused") throw notExecutable(program, file);
  throw new WorkerStartError(
    `worker program "${program}" does not exist (looked for ${file}): correct server.command or pool.command`,
    { details: { program } },
  );
}

function notExecutable(program: string, file: string): WorkerStartError {
  return new WorkerStartError(
    `worker program "${program}" can not be executed: ${file} is no executable file; make it one (chmod +x) or start it through its interpreter, e.g. "php ${program}"`,
    { details: { program } },
  );
}

async function kindOf(file: string): Promise<"absent" | "refused" | "executable"> {
  try {
    if (!(await stat(file)).isFile()) return "refused";
  } catch {
    return "absent";
  }
  try {
    await access(file, constants.X_OK);
    return "executable";
  } catch {
    return "refused";
  }
}
