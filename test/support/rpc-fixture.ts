import { create, toBinary } from "@bufbuild/protobuf";
import { PushRequestSchema } from "../../src/adapters/rpc/gen/jobs/v1/jobs_pb.ts";
import { RPC_DEFAULTS, RpcServer, type RpcServerOptions } from "../../src/adapters/rpc/rpc-server.ts";
import { type RpcMethod, RpcRouter } from "../../src/adapters/rpc/rpc-router.ts";
import { jobsMethods } from "../../src/adapters/rpc/methods/jobs-methods.ts";
import { rpcMethods } from "../../src/adapters/rpc/methods/rpc-methods.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeLogger } from "../../src/testing/fake-logger.ts";
import { FakeJobsUseCases } from "./fake-jobs-use-cases.ts";
import { RpcPeer } from "./rpc-peer.ts";

/** A real server on a free loopback port in front of fake use cases, with a clock that stands still. */
export class RpcFixture {
  readonly useCases: FakeJobsUseCases;
  readonly clock = new FakeClock();
  readonly logger = new FakeLogger("rpc");
  readonly server: RpcServer;
  readonly #peers: RpcPeer[] = [];

  constructor(
    options: Partial<RpcServerOptions> = {},
    pipelines?: readonly string[],
    more: readonly RpcMethod[] = [],
    config = "{}",
  ) {
    this.useCases = new FakeJobsUseCases(pipelines);
    const methods = [...jobsMethods(this.useCases), ...rpcMethods("2025.1.9", () => config), ...more];
    const router = new RpcRouter(methods, this.logger);
    const settings = { ...RPC_DEFAULTS, listen: "tcp://127.0.0.1:0", ...options };
    this.server = new RpcServer(settings, router, this.clock, this.logger);
  }

  async connect(): Promise<RpcPeer> {
    const peer = await RpcPeer.connect(this.server.phpDsn);
    this.#peers.push(peer);
    return peer;
  }

  /** Lets pushes wait until they are released, in order of arrival. */
  holdPushes(): (() => void)[] {
    const release: (() => void)[] = [];
    this.useCases.push.execute = (job) =>
      new Promise((resolve) => {
        release.push(() => {
          this.useCases.pushed.push(job);
          resolve();
        });
      });
    return release;
  }

  /** Ends everything, whether the test left calls running or not. */
  async close(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    await this.server.stop(AbortSignal.abort());
  }
}

/** Resolves when the condition holds; polls between turns of the event loop. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Body of a `jobs.Push` in protobuf. */
export function pushBody(id: string, payload = new Uint8Array(0), pipeline = "mails"): Uint8Array {
  const job = { id, job: "app.Job", payload, options: { pipeline } };
  return toBinary(PushRequestSchema, create(PushRequestSchema, { job }));
}
