import { describe, expect, test } from "@jest/globals";
import { declarationError, pushError, unavailable } from "../../../../src/adapters/sqs/sqs-errors.ts";
import { isTransient, kindOf, SqsFault } from "../../../../src/adapters/sqs/sqs-fault.ts";

describe("a failed call to SQS", () => {
  test.each([
    ["QueueDoesNotExist", "", 400, "missing"],
    ["AWS.SimpleQueueService.NonExistentQueue", "", 400, "missing"],
    ["QueueNameExists", "", 400, "exists"],
    ["QueueAlreadyExists", "", 400, "exists"],
    ["AWS.SimpleQueueService.QueueDeletedRecently", "", 400, "deleted_recently"],
    ["ReceiptHandleIsInvalid", "", 404, "stale"],
    ["MessageNotInflight", "", 400, "stale"],
    [
      "InvalidParameterValue",
      "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
      400,
      "stale",
    ],
    ["InvalidParameterValue", "Value 901 for parameter DelaySeconds is invalid", 400, "refused"],
    ["OverLimit", "", 403, "throttled"],
    ["RequestThrottled", "", 403, "throttled"],
    ["Novel", "", 429, "throttled"],
    ["AccessDenied", "", 403, "denied"],
    ["ExpiredTokenException", "", 400, "denied"],
    ["InvalidClientTokenId", "", 403, "denied"],
    ["CredentialsProviderError", "Could not load credentials", undefined, "denied"],
    ["Novel", "", 403, "denied"],
    ["ECONNREFUSED", "", undefined, "unreachable"],
    ["ENOTFOUND", "", undefined, "unreachable"],
    ["ECONNRESET", "", undefined, "lost"],
    ["TimeoutError", "", undefined, "lost"],
    ["SyntaxError", "Unexpected token <", 502, "server"],
    ["SyntaxError", "Unexpected token <", 200, "lost"],
    ["InternalError", "", undefined, "server"],
    ["Error", "Invalid MD5 checksum on messages: x", 200, "checksum"],
    ["Error", "InvalidChecksumError", 200, "checksum"],
    ["InvalidMessageContents", "", 400, "refused"],
    ["AbortError", "Request aborted", undefined, "aborted"],
    ["Error", "who knows", undefined, "lost"],
  ] as const)("%s (%s, HTTP %s) means %s", (code, message, status, kind) => {
    expect(kindOf(code, message, status)).toBe(kind);
  });

  test("may pass by itself or not", () => {
    const kinds = ["throttled", "unreachable", "server", "lost", "denied", "missing", "refused", "stale"] as const;

    expect(kinds.filter(isTransient)).toEqual(["throttled", "unreachable", "server", "lost"]);
  });

  test("names its code once", () => {
    expect(new SqsFault("denied", "AccessDenied", "not you").message).toBe("AccessDenied: not you");
    expect(new SqsFault("denied", "AccessDenied", "AccessDenied").message).toBe("AccessDenied");
    expect(new SqsFault("denied", "AccessDenied", "").message).toBe("AccessDenied");
  });

  test("tells a producer whether he has to change the job, or may try again", () => {
    const refused = pushError(new SqsFault("refused", "InvalidMessageContents", "no"));
    const lost = pushError(new SqsFault("lost", "ECONNRESET", "gone"));

    expect(refused).toMatchObject({ code: "JOBS_JOB_INVALID", retryable: false });
    expect(lost).toMatchObject({ code: "JOBS_DRIVER_UNAVAILABLE", retryable: true });
    expect(lost.message).toBe("sqs: the answer was lost, the job may have been stored (ECONNRESET: gone)");
    expect(unavailable(undefined).message).toBe("sqs: broker is not reachable");
  });

  test("says what to do about a queue that can not be used", () => {
    const of = (kind: SqsFault["kind"]): string => declarationError("q", new SqsFault(kind, "Code", "")).message;

    expect(of("missing")).toContain("create it");
    expect(of("denied")).toContain("check key, secret");
    expect(of("refused")).toContain("check the options queue, attributes and tags");
    expect(declarationError("q", new SqsFault("unreachable", "ECONNREFUSED", "")).retryable).toBe(true);
    expect(declarationError("q", new SqsFault("deleted_recently", "QueueDeletedRecently", "")).retryable).toBe(true);
  });
});
