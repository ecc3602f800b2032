// Large files and many files, as whole processes beside the released sops, and what one process gets done in a second.
// Ratios are sops : seal here, for seal is the quicker side: "5.0" says that sops takes five times as long.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measure } from "./processes.mjs";

const keys = 20_000;
const mebibyte = 1024 * 1024;

function tree(count) {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`key_${String(index).padStart(5, "0")}`, `value-${index}-abcdefghij`]),
  );
}

function writeInputs(folder) {
  const json = (count) => `${JSON.stringify(tree(count), null, 2)}\n`;
  const yaml = (count) =>
    Object.entries(tree(count))
      .map(([key, value]) => `${key}: ${value}\n`)
      .join("");
  writeFileSync(join(folder, "large.yaml"), yaml(keys));
  writeFileSync(join(folder, "half.yaml"), yaml(keys / 2));
  writeFileSync(join(folder, "large.json"), json(keys));
  writeFileSync(join(folder, "large.bin"), Buffer.alloc(10 * mebibyte, "ten mebibytes of no secret at all\n"));
}

/** `ours` and `theirs` run seal and sops with arguments in the folder, which no seal.yaml governs. */
export function largeRows({ folder, recipient, ours, theirs, rounds, isShort }) {
  writeInputs(folder);
  const sealed = (file) => `sealed.${file}`;
  const pair = (file) => {
    ours("encrypt", "--age", recipient, "-o", sealed(file), file);
    return [
      [
        `encrypt ${file}`,
        () => ours("encrypt", "--age", recipient, file),
        () => theirs("encrypt", "--age", recipient, file),
      ],
      [`decrypt ${file}`, () => ours("decrypt", sealed(file)), () => theirs("decrypt", sealed(file))],
    ];
  };
  const count = isShort ? 100 : 1000;
  const names = Array.from({ length: count }, (_, index) => `many/${index}.yaml`);
  const fresh = () => {
    rmSync(join(folder, "many"), { recursive: true, force: true });
    mkdirSync(join(folder, "many"));
    for (const name of names) copyFileSync(join(folder, "plain.yaml"), join(folder, name));
  };
  const rows = [
    ...["large.yaml", "large.json", "large.bin"].flatMap(pair),
    [
      `encrypt ${count} files of 2 KB in place (sops: a process each)`,
      () => ours("encrypt", "-i", "--age", recipient, ...names),
      () => {
        for (const name of names) theirs("encrypt", "-i", "--age", recipient, name);
      },
      fresh,
    ],
  ];
  const table = rows.map(([name, our, their, before]) => {
    const prepared = (side) => () => {
      before?.();
      side();
    };
    const copying = before === undefined ? 0 : measure([before], 3)[0];
    const [a, b] = measure([prepared(our), theirs === null ? null : prepared(their)], rounds).map((value) =>
      value === null ? null : value - copying,
    );
    return `| ${name} | ${a.toFixed(0)} | ${b?.toFixed(0) ?? ""} | ${b === null ? "" : (b / a).toFixed(1)} |`;
  });
  const [whole, half] = measure(
    ["large.yaml", "half.yaml"].map((file) => () => ours("encrypt", "--age", recipient, file)),
    rounds,
  );
  return [
    "| whole process, median ms | seal | sops | sops : seal |",
    "|---|--:|--:|--:|",
    ...table,
    "",
    `time by size: ${keys} keys take ${(whole / half).toFixed(2)} times as long as ${keys / 2} (2 is linear, 4 quadratic)`,
  ];
}

/** Secrets of 2 KB in one process that is warm, a second each way. */
export async function throughputRows(library, manifest) {
  const { generateAgeIdentity, openSealed, sealManifest } = library;
  const { identity } = generateAgeIdentity();
  const environment = {
    name: "prod",
    ageRecipients: [identity.recipient],
    kmsRecipients: [],
    paths: [],
    namespaces: [],
    defaultScope: "strict",
    scopes: ["strict"],
    strictRecipients: false,
    acceptedUnbound: [],
  };
  const options = { environment, now: new Date() };
  const { text } = await sealManifest(manifest, options);
  const expectation = { environment, target: "own" };
  const perSecond = async (work) => {
    for (let index = 0; index < 50; index++) await work();
    const start = performance.now();
    let done = 0;
    for (; performance.now() - start < 1000; done++) await work();
    return Math.round((done * 1000) / (performance.now() - start));
  };
  return [
    "| one process, Secrets of 2 KB a second | seal |",
    "|---|--:|",
    `| seal | ${await perSecond(() => sealManifest(manifest, options))} |`,
    `| open, the plaintext included | ${await perSecond(async () => (await openSealed(text, expectation, [identity])).plainText)} |`,
  ];
}

export const readManifest = () => readFileSync(new URL("secret.yaml", import.meta.url), "utf8");
