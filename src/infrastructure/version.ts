import { arch, platform } from "node:os";

/** Version of this package; a test compares it with package.json. */
export const VERSION = "0.1.0";

/** The release of RoadRunner whose interfaces this version has; clients compare it (`RR_VERSION`, `rr -v`). */
export const RR_VERSION = "2025.1.15";

/** Put in by the bundler; absent when the unbundled build runs. */
const BUILD_TIME = process.env["JOBSD_BUILD_TIME"] ?? "development";

/**
 * The line of `-v`. Under the name `rr` it is RoadRunner's, since deployment scripts read the version out of it.
 *
 * @param program name the executable was started under
 */
export function versionLine(program: string): string {
  const system = `OS: ${platform()}, arch: ${arch() === "x64" ? "amd64" : arch()}`;
  const runtime = `node${process.versions.node}`;
  return program === "rr"
    ? `rr version ${RR_VERSION} (build time: ${BUILD_TIME}, ${runtime}; jobsd ${VERSION}), ${system}`
    : `jobsd version ${VERSION} (build time: ${BUILD_TIME}, ${runtime}; stands in for RoadRunner ${RR_VERSION}), ${system}`;
}
