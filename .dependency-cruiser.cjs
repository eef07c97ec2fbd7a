/** Layers of this repository. Every rule is an error: there are no exceptions to grow. */
module.exports = {
  forbidden: [
    {
      name: "domain-imports-nothing",
      comment: "No npm package, no node: module, no other layer.",
      severity: "error",
      from: { path: "^src/domain/" },
      to: { pathNot: "^src/domain/" },
    },
    {
      name: "application-imports-domain",
      severity: "error",
      from: { path: "^src/application/" },
      to: { pathNot: "^src/(application|domain)/" },
    },
    {
      name: "adapters-do-not-know-each-other",
      comment: "adapters/shared and adapters/goridge (the frame codec) are the common ground.",
      severity: "error",
      from: { path: "^src/adapters/([^/]+)/" },
      to: { path: "^src/adapters/", pathNot: "^src/adapters/($1|shared|goridge)/" },
    },
    {
      name: "nobody-imports-infrastructure",
      severity: "error",
      from: { pathNot: "^(src/infrastructure/|src/(main|index)\\.ts$|test/)" },
      to: { path: "^src/infrastructure/" },
    },
    {
      name: "inversify-only-wires",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/(infrastructure/|(main|index)\\.ts$)" },
      to: { path: "node_modules/(inversify|reflect-metadata|@inversifyjs)/" },
    },
    {
      name: "broker-clients-stay-home",
      comment: "One importing file per client library.",
      severity: "error",
      from: {
        path: "^src/",
        pathNot:
          "^src/adapters/(amqp/amqplib-session|kafka/kafkajs-session|sqs/sqs-client|nats/nats-session|beanstalk/beanstalk-connection)\\.ts$",
      },
      to: { path: "node_modules/(amqplib|kafkajs|@aws-sdk|nats|fivebeans)/", dependencyTypesNot: ["type-only"] },
    },
    {
      name: "one-file-knows-leveldb",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/adapters/failed-store/level-failed-store\\.ts$" },
      to: { path: "node_modules/classic-level/", dependencyTypesNot: ["type-only"] },
    },
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    { name: "no-unresolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    { name: "no-test-imports", severity: "error", from: { path: "^src/" }, to: { path: "^test/" } },
    {
      name: "declared-dependencies-only",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown"] },
    },
  ],
  options: {
    tsPreCompilationDeps: "specify",
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
