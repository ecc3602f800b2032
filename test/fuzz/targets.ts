// One target a reader: what it is given, and what must hold whatever that is. A refusal (SealwardError) is an answer like
// any other; every other error, and a secret in the clear, is a finding.
import { unwrapDataKey, wrapDataKey } from "../../src/age.ts";
import { parseAgeFile } from "../../src/age-file.ts";
import {
  type AgeIdentity,
  bindSealed,
  checkSealed,
  type EnvironmentPolicy,
  type Expectation,
  explainRule,
  findCreationRule,
  findEnvironment,
  generateAgeIdentity,
  globsOfPathRegex,
  isEncryptedIdentityFile,
  openIdentityFile,
  openSealed,
  openSops,
  overlapOf,
  parseAgeIdentities,
  parseConfig,
  parsePath,
  parseSopsConfig,
  rekeySops,
  resealSops,
  rewrapSops,
  SealwardError,
  type SopsSource,
  type StoreName,
  sealManifest,
  sealSops,
  selectedIn,
  setInSops,
  setValue,
  unwrapBoundSecret,
  wrapDocument,
} from "../../src/index.ts";
import { describeSops } from "../../src/sops-document.ts";
import * as grammars from "./grammars.ts";
import type { Random } from "./random.ts";

const { canary, longSecret } = grammars;
const now = new Date("2026-11-27T12:00:00Z");
const { identity, secretKey } = generateAgeIdentity();
const other = generateAgeIdentity().identity;
const identities: readonly AgeIdentity[] = [identity];
const recipients = { groups: [[identity.recipient]] };

export interface Target {
  readonly grammar: grammars.Grammar;
  /** A well-formed input from a text of the grammar, which is changed before it is read. Default: the text itself. */
  readonly prepare?: (text: string) => Promise<string>;
  /** What is done with each input. */
  readonly reads: readonly Read[];
}

/** @throws whatever is a finding; refusals too, which are none */
type Read = (text: string, random: Random) => Promise<unknown>;

const source = (text: string, store: StoreName): SopsSource => ({ bytes: Buffer.from(text), store, file: "f" });

/** True where the word may stand in the clear: as a key, or where YAML keeps names that are no values. */
async function mayShow(text: string, store: StoreName): Promise<boolean> {
  if (text.includes("_unencrypted") || (store === "yaml" && /[&*!%]\S*S3CR3T/.test(text))) return true;
  const values = await selectedIn(source(text, store), null);
  return values.some(({ path, encrypted }) => !encrypted || path.some((key) => key.includes(canary))) || keysShow(text);
}

/** Keys of empty containers are no path of a value. */
const keysShow = (text: string): boolean => /S3CR3T[^\n]*?["']?\s*[:=\]]|S3CR3T[^\n]*\n\s*:/.test(text);

async function assertSealed(plain: string, sealed: string, store: StoreName): Promise<void> {
  if (sealed.includes(canary) && !(await mayShow(plain, store))) throw new Error("a secret stands in the sealed file");
}

function plainOf(store: StoreName): Target {
  let last: { readonly plain: string; readonly sealed: string; readonly isKept: boolean } | null = null;
  return {
    grammar: grammars.stores[store],
    reads: [
      async (text) => {
        last = null;
        const { text: sealed, notices } = await sealSops(source(text, store), { recipients, rule: null, now });
        last = { plain: text, sealed, isKept: notices.length === 0 };
      },
      async () => {
        if (last === null) return;
        const { plain, sealed, isKept } = last;
        const { bytes } = await openSops(source(sealed, store), { identities });
        await assertSealed(plain, sealed, store);
        if (isKept && !Buffer.from(plain).equals(bytes)) throw new Error("the text did not come back");
      },
    ],
  };
}

function sealedOf(store: StoreName): Target {
  const grammar = grammars.stores[store];
  const changes = { identities, now };
  /** What changes a file, held against its plaintext. */
  const change = (of: (file: SopsSource, plain: Uint8Array, random: Random) => Promise<string>): Read => {
    return async (text, random) => {
      const file = source(text, store);
      const { bytes } = await openSops(file, { identities });
      const changed = await of(file, bytes, random);
      // A change of the input may have put the word where it stays: into the block.
      if (!text.includes(canary)) await assertSealed(Buffer.from(bytes).toString(), changed, store);
    };
  };
  const group = [identity.recipient, other.recipient];
  return {
    grammar,
    prepare: async (text) => (await sealSops(source(text, store), { recipients, rule: null, now })).text,
    reads: [
      async (text) => describeSops(source(text, store)),
      change((file) => rekeySops(file, { ...changes, recipients: { groups: [group] } })),
      change((file) => rewrapSops(file, { groups: [group] }, changes)),
      change(async (file, plain) => (await resealSops(file, plain, changes)).text),
      change(async (file, _, random) => {
        const { values } = await describeSops(file);
        const { path } = random.pick([...values.filter(({ encrypted }) => encrypted), { path: ["new"] }]);
        return setInSops(file, path, { text: Buffer.from(canary) }, changes);
      }),
    ],
  };
}

/** True for what a reader may answer; a refusal that tells a secret is none. */
export function isRefusal(problem: unknown): problem is SealwardError {
  return problem instanceof SealwardError;
}

const environment: EnvironmentPolicy = {
  name: "prod",
  ageRecipients: [identity.recipient],
  kmsRecipients: [],
  paths: [],
  namespaces: [],
  defaultScope: "strict",
  scopes: ["strict", "namespace", "environment"],
  strictRecipients: false,
  acceptedUnbound: [],
};
const expectation: Expectation = { environment, target: "own" };

const secretTarget: Target = {
  grammar: grammars.secret,
  reads: [
    async (text) => {
      const { text: sealed } = await sealManifest(text, { environment, now });
      const { data, name, labels } = await openSealed(sealed, expectation, identities);
      // What is in the clear by right: the names of values, and of the Secret (clear-leak lets them be).
      const shown = JSON.stringify([name, labels, [...data.keys()]]);
      const isHidden = [...data.values()].some((value) => Buffer.from(value).toString() === longSecret);
      if (isHidden && sealed.includes(longSecret) && !shown.includes(longSecret))
        throw new Error("a secret stands in the sealed file");
    },
  ],
};

const sealedSecret: Target = {
  grammar: grammars.secret,
  prepare: async (text) => (await sealManifest(text, { environment, now })).text,
  reads: [
    async (text) => checkSealed(text, expectation),
    (text) => openSealed(text, expectation, identities),
    (text) => setValue(text, "a", Buffer.from(canary), expectation, identities, { now }),
    (text) => bindSealed(text, { environment, now }, identities),
    async (text) => wrapDocument(text),
  ],
};

const boundSecret: Target = {
  grammar: grammars.secret,
  prepare: async (text) => wrapDocument((await sealManifest(text, { environment, now })).text),
  reads: [
    async (text) => {
      const found = unwrapBoundSecret(text);
      if (found !== null) await openSealed(found.document, expectation, identities);
    },
  ],
};

const config: Target = {
  grammar: grammars.sealYaml,
  reads: [async (text) => findEnvironment(parseConfig(text, "seal.yaml"), { path: "prod/a.yaml", namespace: "prod" })],
};

const sopsConfig: Target = {
  grammar: grammars.sopsYaml,
  reads: [
    async (text) => {
      const rule = await findCreationRule(parseSopsConfig(text, ".sops.yaml"), "prod/a.yaml");
      if (rule !== null) explainRule(rule);
    },
  ],
};

const identityFile: Target = {
  grammar: grammars.identities,
  prepare: async (text) => `${text}${secretKey}\n`,
  reads: [
    async (text) => {
      const bytes = Buffer.from(text);
      if (isEncryptedIdentityFile(bytes)) await openIdentityFile(bytes, "passphrase");
      else await parseAgeIdentities(text, "keys.txt");
    },
  ],
};

const ageFile: Target = {
  grammar: grammars.identities,
  prepare: () => wrapDataKey(Buffer.alloc(32, 7), identity.recipient),
  reads: [
    async (text) => {
      const dataKey = await unwrapDataKey(text, identity);
      if (dataKey !== null && !Buffer.alloc(32, 7).equals(dataKey)) throw new Error("another data key came out");
      parseAgeFile(Buffer.from(text));
    },
  ],
};

const path: Target = {
  grammar: grammars.paths,
  reads: [
    async (text) => {
      const globs = globsOfPathRegex(text);
      if (globs !== null) overlapOf(globs, ["prod/**", "*.yaml"]);
      parsePath(text);
    },
  ],
};

const pattern: Target = {
  grammar: grammars.paths,
  reads: [
    (text) =>
      selectedIn(source("a: b\nc:\n  d: e\n", "yaml"), { name: "encrypted_regex", pattern: text.slice(0, 10_000) }),
  ],
};

export const targets: Readonly<Record<string, Target>> = {
  yaml: plainOf("yaml"),
  json: plainOf("json"),
  dotenv: plainOf("dotenv"),
  ini: plainOf("ini"),
  binary: plainOf("binary"),
  "sealed yaml": sealedOf("yaml"),
  "sealed json": sealedOf("json"),
  "sealed dotenv": sealedOf("dotenv"),
  "sealed ini": sealedOf("ini"),
  "sealed binary": sealedOf("binary"),
  secret: secretTarget,
  "sealed secret": sealedSecret,
  BoundSecret: boundSecret,
  "seal.yaml": config,
  ".sops.yaml": sopsConfig,
  identities: identityFile,
  "age file": ageFile,
  path,
  pattern,
};
