import * as z from "zod";
import { bool, bytes, duration, fileMode, int, text } from "./leaves.ts";

/** Section `rpc`: RoadRunner's `listen`, and our limits of a connection. */
export const rpcSchema = z.object({
  listen: text("tcp://127.0.0.1:6001"),
  max_frame_size: bytes(256 * 2 ** 20),
  header_timeout: duration(5_000),
  body_timeout: duration(60_000),
  max_connections: int(4096, 1),
  max_inflight: int(64, 1),
  redact_config: bool(true),
  socket_mode: fileMode(0o660),
});
