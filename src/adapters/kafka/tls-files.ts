import { readFileSync } from "node:fs";
import * as tls from "node:tls";
import { InvalidPipelineError } from "../../domain/errors.ts";
import type { TlsOptions } from "./connection-options.ts";

/**
 * What Node's TLS is told. An authority of one's own comes beside those everybody trusts.
 *
 * @throws {InvalidPipelineError} a file that can not be read, in RoadRunner's words
 */
export function tlsConnection({ rootCa, cert, key }: TlsOptions): tls.ConnectionOptions {
  const options: tls.ConnectionOptions = { minVersion: "TLSv1.2" };
  if (key !== "") {
    options.key = read(key, `private key file '${key}' does not exist`);
    options.cert = read(cert, `public certificate file '${cert}' does not exist`);
  }
  if (rootCa !== "") {
    const authority = read(rootCa, `root CA file '${rootCa}' does not exist`).toString();
    if (!authority.includes("-----BEGIN CERTIFICATE-----")) {
      throw new InvalidPipelineError(`could not append certificates from Root CA file '${rootCa}'`);
    }
    options.ca = [...tls.rootCertificates, authority];
  }
  return options;
}

function read(path: string, text: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new InvalidPipelineError(text, { cause: error });
  }
}
