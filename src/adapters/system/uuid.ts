import { randomUUID } from "node:crypto";
import type { IdGenerator } from "../../domain/ports/id-generator.ts";

/** UUIDs of version 4, as the PHP client makes them. */
export class UuidGenerator implements IdGenerator {
  next(): string {
    return randomUUID();
  }
}
