import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "threads",
    isolate: false,
    // The default leaves one core free, which on two cores is half of them; the tests wait for processes much of the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // What seal and the controller set for themselves.
    env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
