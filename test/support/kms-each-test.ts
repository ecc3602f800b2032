// What stands before and after each test of calls to the KMS test server: no waiting between retries, no calls and no faults
// of the test before.
import { afterEach, beforeEach, vi } from "vitest";
import type { KmsServer } from "./kms/kms-server.ts";

export function eachTestAlone(server: () => KmsServer): void {
  beforeEach(() => {
    // The SDK draws how long it waits before it tries again: here it never waits.
    vi.spyOn(Math, "random").mockReturnValue(0);
    server().forgetCalls();
  });
  afterEach(() => {
    server().faults.clear();
    vi.restoreAllMocks();
  });
}
