#!/usr/bin/env node
// Node opens its inspector on SIGUSR1; a listener of our own takes its place, from the first moment on.
process.on("SIGUSR1", () => undefined);

// Warnings of the runtime about itself are of no use to an operator; those of libraries about us are.
const emitWarning = process.emitWarning;
process.emitWarning = (warning, ...rest) => {
  const type = typeof rest[0] === "object" ? rest[0]?.type : rest[0];
  if (type === "ExperimentalWarning" || warning?.name === "ExperimentalWarning") return;
  emitWarning.call(process, warning, ...rest);
};

try {
  await import("../dist/jobsd.mjs");
} catch (error) {
  if (error?.code !== "ERR_MODULE_NOT_FOUND" || !String(error.message).includes("jobsd.mjs")) throw error;
  console.error("jobsd is not built: run `npm run build`");
  process.exitCode = 1;
}
