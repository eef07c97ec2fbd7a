import { buildSync } from "esbuild";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryFile } from "./repository.ts";

/** Makes one JavaScript file of a TypeScript file of the repository and what it imports, but for `external` packages. */
export function bundle(path: string, outfile: string, external: readonly string[] = []): void {
  buildSync({
    entryPoints: [repositoryFile(path)],
    outfile,
    bundle: true,
    external: [...external],
    platform: "node",
    format: "esm",
    target: "node20",
    logLevel: "error",
  });
}

/** Puts the package's worker library where scripts in `folder` find it as `jobsd/worker`. */
export function installWorkerLibrary(folder: string): void {
  const root = join(folder, "node_modules", "jobsd");
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "package.json"), '{"type":"module","exports":{"./worker":"./worker.js"}}');
  bundle("workers/node/worker.ts", join(root, "worker.js"));
}
