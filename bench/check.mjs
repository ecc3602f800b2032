// `seal check` over a large repository: of ten thousand files a tenth are sealed Secrets, four fifths other manifests and the
// rest JSON and dotenv files. sops has nothing of the kind: beside it stands what reads a sealed file without a key.
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measure, row } from "./processes.mjs";

const manifest = (index) => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-${index}
spec:
  replicas: 3
  template:
    spec:
      containers:
${Array.from(
  { length: 8 },
  (_, at) => `        - name: c${at}
          image: example/app:${index}
          env:
            - name: MODE
              value: "x${index}"
            - name: SECRET_${at}
              valueFrom:
                secretKeyRef: { name: db, key: PASSWORD }
`,
).join("")}`;

/** `ours` and `theirs` run a program in `folder`; a repository is made there. */
export function checkRows({ folder, ours, theirs, floor, sealed, rounds, isShort }) {
  const total = isShort ? 1000 : 10_000;
  const write = (path, text) => {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  };
  for (let index = 0; index < total; index++) {
    const group = `apps/${index % 100}`;
    if (index % 10 === 0) write(`${group}/prod/${index}.sealed.yaml`, sealed);
    else if (index % 10 === 1) write(`${group}/${index}.json`, `{"index": ${index}}\n`);
    else write(`${group}/${index}.yaml`, manifest(index));
  }
  spawnSync("git", ["add", "-A"], { cwd: folder });
  const first = "apps/0/prod/0.sealed.yaml";
  const check = measure([floor, () => ours("check", "--no-gitleaks"), null], rounds);
  const staged = measure([floor, () => ours("check", "--no-gitleaks", "--staged"), null], rounds);
  const status = measure([floor, () => ours("status"), null], rounds);
  const one = measure(
    [floor, () => ours("check", "--no-gitleaks", first), theirs === null ? null : () => theirs("filestatus", first)],
    rounds,
  );
  return [
    row(`\`check\`: ${total} files, ${total / 10} of them sealed`, check),
    row(`\`check --staged\`: all ${total} staged`, staged),
    row(`\`status\`: the same ${total} files`, status),
    row("`check` of one file (sops: `filestatus`)", one),
  ];
}
