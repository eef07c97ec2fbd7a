// Some of the tests never cover everything: thresholds belong to runs that name no path.
const isWholeRun = process.argv.slice(2).every((argument) => argument.startsWith("-"));

/** @type {import('jest').Config} */
export default {
  testEnvironment: "node",
  testMatch: ["<rootDir>/test/**/*.test.ts"],
  extensionsToTreatAsEsm: [".ts"],
  transform: { "^.+\\.ts$": ["@swc/jest"] },
  setupFiles: ["reflect-metadata"],
  coverageProvider: "v8",
  // Files that hold only types count as 0 % under v8, so they are left out by name.
  collectCoverageFrom: [
    "src/**/*.ts",
    "!src/main.ts",
    "!src/domain/ports/!(logger|worker-pool).ts",
    "!src/domain/cancel-signal.ts",
    "!src/**/gen/**",
  ],
  modulePathIgnorePatterns: ["<rootDir>/dist"],
  coverageThreshold: isWholeRun ? { "./src/domain/": { lines: 100, branches: 100 } } : undefined,
  workerIdleMemoryLimit: "512MB",
  injectGlobals: false,
};
