// Bundles what ships: CommonJS programs (the fastest form to start, docs/decisions/0003) and one ES module. Knows nothing
// about types; `npm run check` does that.
import { spawnSync } from "node:child_process";
import * as crypto from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { build } from "esbuild";

const node = { bundle: true, platform: "node", target: "node20.19", logLevel: "warning", sourcemap: false };
/** What few runs need stands in a file of its own: it is neither read nor compiled until it is imported. */
const lazyChunk = {
  name: "lazy-chunk",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^(?:re2js|age-encryption)$/ }, ({ path }) => ({ path: `./${path}.cjs`, external: true }));
    onResolve({ filter: /^@aws-sdk\/client-/ }, () => ({ path: "./aws-sdk.cjs", external: true }));
  },
};
/** commander starts programs for commands in files of their own, which we have none of; loading this costs as much as all of it. */
const withoutChildren = {
  name: "without-children",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /[\\/]commander[\\/]/.test(importer) ? { path: "child_process", namespace: "nothing" } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "module.exports = {};" }));
  },
};
/** Node's own ciphers take as long to load as a Secret takes to read, and much that needs no key needs none of them. */
const lazyCrypto = {
  name: "lazy-crypto",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:crypto$/ }, ({ namespace }) =>
      namespace === "lazy" ? undefined : { path: "crypto", namespace: "lazy" },
    );
    // Exports one by one, so that what nobody uses is gone: an object of all of them takes 3 ms to make.
    const parts = Object.entries(crypto).filter(([name]) => /^[a-z]\w*$/i.test(name) && name !== "default");
    const exported = ([name, value]) =>
      typeof value === "function" && !/^[A-Z]/.test(name)
        ? `export const ${name} = (...given) => real().${name}(...given);`
        : `export const ${name} = new Proxy({}, { get: (_, key) => real().${name}[key] });`;
    const load = 'let loaded; const real = () => (loaded ??= require("node:crypto"));';
    onLoad({ filter: /.*/, namespace: "lazy" }, () => ({ contents: [load, ...parts.map(exported)].join("\n") }));
  },
};
const program = (entry, outfile) => ({
  ...node,
  entryPoints: [entry],
  outfile,
  format: "cjs",
  minifySyntax: true,
  mainFields: ["module", "main"],
  // A dependency of the Kubernetes client asks for the built-in of this name, which newer Node warns about.
  alias: { punycode: "punycode/", yaml: "./node_modules/yaml/browser/dist/index.js" },
  banner: { js: "#!/usr/bin/env node" },
  plugins: [lazyChunk, withoutChildren],
});

/** What is used of both clients, which have most of their code in common. */
const awsSdk = {
  ...node,
  stdin: {
    contents: `
      export { KMSClient, DecryptCommand, DescribeKeyCommand, EncryptCommand } from "@aws-sdk/client-kms";
      export { getDefaultRoleAssumer, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";`,
    resolveDir: ".",
  },
  format: "cjs",
  mainFields: ["module", "main"],
  minify: true,
  legalComments: "none",
  // As for the program: `import()` needs a loader that a script with bytecode loses.
  supported: { "dynamic-import": false },
  write: false,
};

/** A bundle for the launcher: its first line is the name of its build. */
function writeNamed(outfile, [{ text }]) {
  if (/[^\0-\x7f]/.test(text)) throw new Error("the bundle is not ASCII, as its launcher expects");
  writeFileSync(outfile, `//${crypto.createHash("sha256").update(text).digest("hex")}\n${text}`);
}

/** The CLI for its launcher: a function, and before it a line that no other build has. */
async function buildMain() {
  const { outputFiles } = await build({
    ...program("cli/main.ts", "dist/seal-main.cjs"),
    plugins: [lazyChunk, withoutChildren, lazyCrypto],
    banner: { js: "(function (require, __dirname) {" },
    footer: { js: "})" },
    minifyWhitespace: true,
    minifyIdentifiers: true,
    // `import()` needs a loader that a script with bytecode loses; `require`, which the launcher gives it, is quicker as well.
    supported: { "dynamic-import": false },
    legalComments: "none",
    write: false,
  });
  writeNamed("dist/seal-main.cjs", outputFiles);
  writeNamed("dist/aws-sdk.cjs", (await build(awsSdk)).outputFiles);
  const { status, stderr } = spawnSync(process.execPath, ["code-cache.mjs"], { stdio: ["ignore", "ignore", "pipe"] });
  if (status !== 0) throw new Error(`the code cache could not be made: ${stderr}`);
}

/** What is made from the command table: the data that completion reads, and the manual page. */
async function buildGenerated() {
  const { outputFiles } = await build({
    ...program("cli/generate.ts", "generate.cjs"),
    banner: {},
    write: false,
  });
  const module = { exports: {} };
  new Function("require", "module", outputFiles[0].text)(createRequire(import.meta.url), module);
  const texts = await module.exports.generated(process, readFileSync("docs/cli.md", "utf8"));
  for (const [name, text] of Object.entries(texts)) writeFileSync(`dist/${name}`, text);
}

const outputs = [
  "seal.cjs",
  "seal-complete.cjs",
  "commands.json",
  "answers.json",
  "seal.1",
  "seal-main.cjs",
  "seal-main.bin",
  "sealward-controller.cjs",
  "re2js.cjs",
  "age-encryption.cjs",
  "aws-sdk.cjs",
  "aws-sdk.bin",
  "index.js",
];
for (const name of [...outputs, "demo.cjs"]) await rm(`dist/${name}`, { force: true });
await Promise.all([
  build(program("cli/launcher.ts", "dist/seal.cjs")),
  build({ ...program("cli/complete-main.ts", "dist/seal-complete.cjs"), banner: {} }),
  build({ ...node, entryPoints: ["re2js"], outfile: "dist/re2js.cjs", format: "cjs" }).then(buildMain),
  build(program("controller/main.ts", "dist/sealward-controller.cjs")),
  build({ ...node, entryPoints: ["age-encryption"], outfile: "dist/age-encryption.cjs", format: "cjs" }),
  build({ ...node, entryPoints: ["src/index.ts"], outfile: "dist/index.js", format: "esm", packages: "external" }),
  // The demo is not published; it is bundled because the oldest supported Node does not run TypeScript.
  existsSync("examples/demo.ts") ? build(program("examples/demo.ts", "dist/demo.cjs")) : undefined,
]);
await buildGenerated();
