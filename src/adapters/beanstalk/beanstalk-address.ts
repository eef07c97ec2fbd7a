import { InvalidPipelineError } from "../../domain/errors.ts";

/** Where beanstalkd listens. */
export type BeanstalkAddress =
  | { readonly t: "tcp"; readonly host: string; readonly port: number; readonly family: 0 | 4 | 6 }
  | { readonly t: "unix"; readonly path: string };

const FAMILIES: Readonly<Record<string, 0 | 4 | 6>> = { tcp: 0, tcp4: 4, tcp6: 6 };

const HOST_AND_PORT = /^(?:\[(?<literal>[^\]]+)\]|(?<host>[^:[\]]*)):(?<port>\d{1,5})$/;

/**
 * Reads RoadRunner's `network://address`: `tcp://host:port` (`tcp4`, `tcp6` for one kind of address only, IPv6
 * literals in brackets) or `unix://path`.
 *
 * @throws {InvalidPipelineError} it is none of them
 */
export function parseBeanstalkAddress(addr: string): BeanstalkAddress {
  const at = addr.indexOf("://");
  if (at < 0) throw invalid(addr);
  const network = addr.slice(0, at);
  const rest = addr.slice(at + 3);
  if (network === "unix" && rest !== "") return { t: "unix", path: rest };
  const family = FAMILIES[network];
  const parts = HOST_AND_PORT.exec(rest)?.groups;
  const port = Number(parts?.["port"]);
  if (family === undefined || parts === undefined || port < 1 || port > 65_535) throw invalid(addr);
  const host = parts["literal"] ?? parts["host"] ?? "";
  // Without a host Go connects to the machine itself.
  return { t: "tcp", host: host === "" ? "localhost" : host, port, family };
}

function invalid(addr: string): InvalidPipelineError {
  return new InvalidPipelineError(
    `beanstalk.addr: invalid socket DSN (tcp://127.0.0.1:11300, unix://beanstalk.sock), provided: ${addr}`,
  );
}
