// Every fault of every command: `npm run faults`. A file of its own, because a variable in front of a command is no command
// everywhere.
import { spawnSync } from "node:child_process";

const vitest = ["node_modules/vitest/vitest.mjs", "run", "test/faults"];
const { status } = spawnSync(process.execPath, vitest, { stdio: "inherit", env: { ...process.env, FAULTS: "all" } });
process.exitCode = status ?? 1;
