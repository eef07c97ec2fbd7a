import * as z from "zod";
import { oneOf, text } from "./leaves.ts";

/** RoadRunner's words for whether a certificate of the other side is asked for and checked; its docs misspell one. */
const CLIENT_AUTH_TYPES = [
  "no_client_cert",
  "no_client_certs",
  "request_client_cert",
  "require_any_client_cert",
  "verify_client_cert_if_given",
  "require_and_verify_client_cert",
] as const;

/** Key `tls` of a broker's section: paths of PEM files. */
export const tlsSchema = z.object({
  key: text(""),
  cert: text(""),
  root_ca: text(""),
  client_auth_type: oneOf("no_client_cert", CLIENT_AUTH_TYPES),
});
