// Builds dist: tsc's output, and the bundle that bin/jobsd.js runs.
//
// The bundle is made from tsc's output and not from the sources, because esbuild emits no decorator metadata.
// What a command or a configuration does not use stays in chunks that are not loaded.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const buildTime = new Date(Number(process.env.SOURCE_DATE_EPOCH ?? Date.now() / 1000) * 1000);

rmSync(`${root}dist`, { recursive: true, force: true });

const tsc = spawnSync(process.execPath, [`${root}node_modules/.bin/tsc`, "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);

await build({
  absWorkingDir: root,
  entryPoints: { jobsd: "dist/src/main.js" },
  outdir: "dist",
  outExtension: { ".js": ".mjs" },
  chunkNames: "chunks/[name]-[hash]",
  bundle: true,
  splitting: true,
  // Each finds its binary beside itself; fivebeans is old enough to be warned of wherever it is not in node_modules.
  external: ["classic-level", "snappy", "lz4-napi", "fivebeans"],
  format: "esm",
  platform: "node",
  target: "node20.19",
  keepNames: true,
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "none",
  sourcemap: "linked",
  define: { "process.env.JOBSD_BUILD_TIME": JSON.stringify(`${buildTime.toISOString().slice(0, 19)}+0000`) },
  // CommonJS packages inside the bundle call require() for built-in modules.
  banner: {
    js: 'import { createRequire as createRequireOfBundle } from "node:module"; const require = createRequireOfBundle(import.meta.url);',
  },
  logLevel: "warning",
});
