import { afterAll } from "@jest/globals";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LevelFailedStore } from "../../../src/adapters/failed-store/level-failed-store.ts";
import { failedStoreContract } from "../../contract/failed-store.contract.ts";

const folder = mkdtempSync(join(tmpdir(), "jobsd-failed-"));
let stores = 0;

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

failedStoreContract("LevelDB", (limits, clock, log) => {
  stores += 1;
  return new LevelFailedStore({ ...limits, path: join(folder, stores.toString(), "failed") }, clock, log);
});
