// Bundles what ships: two CommonJS programs (the fastest form to start, docs/decisions/0003) and one ES module.
// Knows nothing about types; `npm run check` does that.
import { rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { build } from "esbuild";

const node = { bundle: true, platform: "node", target: "node20.19", logLevel: "warning", sourcemap: false };
const program = (entry, outfile) => ({
  ...node,
  entryPoints: [entry],
  outfile,
  format: "cjs",
  minifySyntax: true,
  mainFields: ["module", "main"],
  banner: { js: "#!/usr/bin/env node" },
});

for (const name of ["seal.cjs", "sealward-controller.cjs", "index.js", "demo.cjs"]) await rm(`dist/${name}`, { force: true });
await Promise.all([
  build(program("cli/main.ts", "dist/seal.cjs")),
  build(program("controller/main.ts", "dist/sealward-controller.cjs")),
  build({ ...node, entryPoints: ["src/index.ts"], outfile: "dist/index.js", format: "esm", packages: "external" }),
  // The demo is not published; it is bundled because the oldest supported Node does not run TypeScript.
  existsSync("examples/demo.ts") ? build(program("examples/demo.ts", "dist/demo.cjs")) : undefined,
]);
