import { RpcClient, type RpcTarget } from "../../adapters/rpc/rpc-client.ts";
import { messageOf } from "../../domain/errors.ts";
import type { ListenAddress } from "../config/config.ts";
import { loadConfig } from "../config/load-config.ts";
import { resolveConfigPath } from "../config/resolve-config-path.ts";
import { CommandError } from "./command-error.ts";
import type { GlobalOptions } from "./flags.ts";

/** How long the daemon may take for one answer; a reset waits for running jobs. */
const ANSWER_TIMEOUT_MS = 120_000;

/**
 * Runs `work` with a connection to the daemon of the configuration, which is closed afterwards.
 *
 * @throws {CommandError} nobody listens there
 * @throws {InvalidConfigError} the configuration can not be used
 */
export async function withDaemon<T>(options: GlobalOptions, work: (client: RpcClient) => Promise<T>): Promise<T> {
  const { path, directory } = resolveConfigPath(options.config, options.workDir, process.cwd());
  const { overrides, dotenv } = options;
  const { rpc } = loadConfig({ path, directory, overrides, dotenv }).config;
  const client = await open(rpc.listen, targetOf(rpc.address, directory));
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

async function open(listen: string, target: RpcTarget): Promise<RpcClient> {
  try {
    return await RpcClient.connect(target, ANSWER_TIMEOUT_MS);
  } catch (error) {
    const hint = "is the daemon running, with the same configuration (rpc.listen)?";
    throw new CommandError(`can not reach the daemon at ${listen}: ${messageOf(error)}; ${hint}`, { cause: error });
  }
}

/** A daemon that listens on all interfaces is reached on the loopback one. */
function targetOf(address: ListenAddress, directory: string): RpcTarget {
  if (address.t === "unix") {
    return { path: address.path.startsWith("/") ? address.path : `${directory}/${address.path}` };
  }
  const anywhere = address.host === "" || address.host === "0.0.0.0" || address.host === "::";
  return { host: anywhere ? "127.0.0.1" : address.host, port: address.port };
}
