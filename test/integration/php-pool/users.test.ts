import { readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { identityOf } from "../../../src/adapters/php-pool/process/process-identity.ts";
import { ProcProbe } from "../../../src/adapters/php-pool/process/process-probe.ts";
import { RealPool } from "../../support/real-pool.ts";

const KEYS = { user: "server.user", group: "server.group" };
const isRoot = process.getuid?.() === 0;
/** Needs root; elsewhere the title says why it is skipped. */
const asRoot = isRoot ? test : test.skip;

/** Ids of a process as the kernel knows them: real, effective, saved, file system. */
function idsOf(pid: number): { readonly uid: string; readonly gid: string } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "";
  return { uid: field("Uid"), gid: field("Gid") };
}

describe("the user of the workers", () => {
  asRoot(
    "[POOL-13] is the one of the configuration, with its primary group or the one that is named (needs root)",
    async () => {
      const nobody = identityOf("nobody", "", KEYS);
      const daemonGroup = identityOf("nobody", "daemon", KEYS);
      // Sleeps do not speak the protocol, so the start fails; by then the process has shown who it is.
      const seen: { readonly uid: string; readonly gid: string }[] = [];
      for (const identity of [nobody, daemonGroup]) {
        await using world = new RealPool(
          { command: ["sh", "-c", "id -u >&2; id -g >&2; id -G >&2"], allocateTimeoutMs: 15_000 },
          "none",
          { identity: () => identity },
        );
        await expect(world.pool.start(AbortSignal.timeout(20_000))).rejects.toThrow(/exited with code 0/);
        const [uid = "", gid = "", groups = ""] = world.log.messages("info");
        expect(groups).toBe(gid);
        seen.push({ uid, gid });
      }

      expect(seen).toEqual([
        { uid: String(nobody.uid), gid: String(nobody.gid) },
        { uid: String(nobody.uid), gid: String(daemonGroup.gid) },
      ]);
      expect(nobody.gid).not.toBe(daemonGroup.gid);
    },
  );

  test("[POOL-13] that does not exist is refused, with the key", () => {
    expect(() => identityOf("no-such-user", "", KEYS)).toThrow('server.user: there is no user "no-such-user"');
    expect(() => identityOf("", "no-such-group", KEYS)).toThrow('server.group: there is no group "no-such-group"');
  });

  test("is the daemon's where nothing, or itself, is named", () => {
    const own = (process.getuid?.() ?? 0).toString();

    expect(identityOf("", "", KEYS)).toEqual({});
    expect(identityOf(own, (process.getgid?.() ?? 0).toString(), KEYS)).toEqual({});
    expect(idsOf(process.pid).uid).toContain(own);
  });

  asRoot("may be a number nobody has a name for (needs root)", () => {
    expect(identityOf("54321", "", KEYS)).toEqual({ uid: 54_321, gid: 54_321 });
  });

  test("[POOL-13] can not be another one for a daemon that is not root", () => {
    const { getuid } = process;
    try {
      process.getuid = () => 1234;
      expect(() => identityOf("root", "", KEYS)).toThrow(
        "server.user: only a daemon that runs as root can start processes for another user or group",
      );
    } finally {
      if (getuid !== undefined) process.getuid = getuid;
    }
  });
});

describe("what a process uses", () => {
  test("is read from the system, and unknown for one that is gone", () => {
    const usage = new ProcProbe().sample(process.pid);

    const actual = process.memoryUsage().rss;
    expect(usage?.memoryBytes).toBeGreaterThan(actual / 2);
    expect(usage?.memoryBytes).toBeLessThan(actual * 2);
    expect(usage?.cpuMs).toBeGreaterThan(0);
    expect(new ProcProbe().sample(2 ** 22 + 1)).toBeUndefined();
  });
});
