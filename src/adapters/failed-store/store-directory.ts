import { access, chmod, constants, mkdir, open, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** The directory of the store: nobody but its owner reads what is in it. */
export class StoreDirectory {
  readonly path: string;

  /** @param path relative to the working directory */
  constructor(path: string) {
    this.path = resolve(path);
  }

  /** Whether there is a store in it. */
  async exists(): Promise<boolean> {
    return (await this.#inode("CURRENT")) !== undefined;
  }

  /** Makes it and those above it, and lets their names reach the disk. Does nothing if it is there. */
  async create(): Promise<void> {
    const first = await mkdir(this.path, { recursive: true, mode: DIRECTORY_MODE });
    if (first === undefined) return;
    for (let made = this.path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
  }

  /**
   * What tells this directory from another one that took its path. A store goes on in files that were moved away or
   * removed, and notices nothing.
   */
  identity(): Promise<string | undefined> {
    return this.#inode("LOCK");
  }

  /** LevelDB makes its files readable for all whom the directory lets in. */
  async restrictFiles(): Promise<void> {
    for (const name of await readdir(this.path)) {
      const path = join(this.path, name);
      try {
        const { mode } = await stat(path);
        if ((mode & 0o077) !== 0) await chmod(path, FILE_MODE);
      } catch {
        // It was removed by LevelDB meanwhile.
      }
    }
  }

  /** Why nothing can be stored here, as far as that can be told without writing; `undefined` if nothing is known. */
  async whyUnusable(): Promise<string | undefined> {
    let path = this.path;
    for (;;) {
      try {
        const { mode } = await stat(path);
        if ((mode & constants.S_IFMT) !== constants.S_IFDIR) return `${path} is not a directory`;
        await access(path, constants.W_OK | constants.X_OK);
        return undefined;
      } catch (error) {
        const code = codeOf(error);
        if (code !== "ENOENT" && code !== "ENOTDIR") return `${path} is not writable (${code})`;
        if (path === dirname(path)) return `${path} does not exist`;
        path = dirname(path);
      }
    }
  }

  async #inode(name: string): Promise<string | undefined> {
    try {
      const { dev, ino } = await stat(join(this.path, name), { bigint: true });
      return `${dev.toString()}:${ino.toString()}`;
    } catch (error) {
      const code = codeOf(error);
      if (code === "ENOENT" || code === "ENOTDIR") return undefined;
      throw error;
    }
  }
}

/** `code` of an error of Node or LevelDB. */
export function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
