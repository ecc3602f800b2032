// Bundles what ships: two CommonJS programs (the fastest form to start, docs/decisions/0003) and one ES module.
// Knows nothing about types; `npm run check` does that.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { build } from "esbuild";

const node = { bundle: true, platform: "node", target: "node20.19", logLevel: "warning", sourcemap: false };
/** What few runs need stands in a file of its own: it is neither read nor compiled until it is imported. */
const lazyChunk = {
  name: "lazy-chunk",
  setup: ({ onResolve }) => onResolve({ filter: /^re2js$/ }, () => ({ path: "./re2js.cjs", external: true })),
};
const program = (entry, outfile) => ({
  ...node,
  entryPoints: [entry],
  outfile,
  format: "cjs",
  minifySyntax: true,
  mainFields: ["module", "main"],
  // A dependency of the Kubernetes client asks for the built-in of this name, which newer Node warns about.
  alias: { punycode: "punycode/" },
  banner: { js: "#!/usr/bin/env node" },
  plugins: [lazyChunk],
});

for (const name of ["seal.cjs", "sealward-controller.cjs", "re2js.cjs", "index.js", "demo.cjs"])
  await rm(`dist/${name}`, { force: true });
await Promise.all([
  build(program("cli/main.ts", "dist/seal.cjs")),
  build(program("controller/main.ts", "dist/sealward-controller.cjs")),
  build({ ...node, entryPoints: ["re2js"], outfile: "dist/re2js.cjs", format: "cjs" }),
  build({ ...node, entryPoints: ["src/index.ts"], outfile: "dist/index.js", format: "esm", packages: "external" }),
  // The demo is not published; it is bundled because the oldest supported Node does not run TypeScript.
  existsSync("examples/demo.ts") ? build(program("examples/demo.ts", "dist/demo.cjs")) : undefined,
]);
