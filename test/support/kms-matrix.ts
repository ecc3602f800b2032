// The environment matrix: three environments, three scopes, and a sealed file moved in each of four ways, with more and more
// of it rewritten to fit. Runs against any server that speaks KMS.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unwrapFile } from "../../src/data-key.ts";
import { secretMetadata } from "../../src/gate.ts";
import { type ErrorCode, openSealed, type Scope, scopes, sealManifest } from "../../src/index.ts";
import { contextOf } from "../../src/kms.ts";
import { parseYaml } from "../../src/yaml-source.ts";
import { awsAt, type KmsEnvironment, type KmsPlace, kmsEnvironment } from "./kms-environments.ts";
import { databaseSecret, mutate, now, refusalOf } from "./sealing.ts";

export interface MatrixWorld extends KmsPlace {
  /** A fresh key's ARN. */
  createKey(region: string): Promise<string>;
  /** Calls of Decrypt so far; null where the server does not tell. */
  decrypts(): number | null;
  close(): Promise<void>;
}

const names = ["dev", "staging", "prod"] as const;
const regions = { dev: "eu-west-1", staging: "eu-central-1", prod: "us-east-1" } as const;

const cells = names.flatMap((name) => scopes.map((scope) => ({ name, scope })));

interface Target {
  readonly environment: KmsEnvironment;
  readonly namespace: string;
  readonly name: string;
}

interface Move {
  readonly kind: "environment" | "namespace" | "name" | "block";
  /** How much of the file was rewritten to fit its new place. */
  readonly rewritten: "nothing" | "claims" | "claims and entries";
  /** Scopes that allow such a move; there the file opens. */
  readonly allowed: readonly Scope[];
  /** Known before KMS is asked. */
  readonly early: readonly ErrorCode[];
}

const moves: readonly Move[] = [
  { kind: "environment", rewritten: "nothing", allowed: [], early: ["environment-mismatch"] },
  { kind: "environment", rewritten: "claims", allowed: [], early: ["recipient-foreign", "context-mismatch"] },
  { kind: "environment", rewritten: "claims and entries", allowed: [], early: [] },
  { kind: "namespace", rewritten: "nothing", allowed: ["environment"], early: ["target-mismatch"] },
  { kind: "namespace", rewritten: "claims", allowed: ["environment"], early: ["context-mismatch"] },
  { kind: "namespace", rewritten: "claims and entries", allowed: ["environment"], early: [] },
  { kind: "name", rewritten: "nothing", allowed: ["namespace", "environment"], early: ["target-mismatch"] },
  { kind: "name", rewritten: "claims", allowed: ["namespace", "environment"], early: ["context-mismatch"] },
  { kind: "name", rewritten: "claims and entries", allowed: ["namespace", "environment"], early: [] },
  { kind: "block", rewritten: "nothing", allowed: [], early: ["context-mismatch"] },
];

/** Registers the tests. `shared`: one key for all environments, so that only the context tells them apart. */
export function describeMatrix(title: string, start: () => Promise<MatrixWorld>, shared: boolean): void {
  describe(title, () => {
    let world: MatrixWorld;
    const environments = new Map<string, KmsEnvironment>();
    const environmentOf = (name: string): KmsEnvironment => {
      const found = environments.get(name);
      if (found === undefined) throw new Error(`no environment ${name}`);
      return found;
    };

    beforeAll(async () => {
      world = await start();
      const kms = awsAt(world).as();
      const only = shared ? await world.createKey("eu-west-1") : null;
      for (const name of names)
        environments.set(name, kmsEnvironment(name, { kms, keys: [only ?? (await world.createKey(regions[name]))] }));
    });
    afterAll(() => world.close());

    const seal = async (env: KmsEnvironment, scope: Scope, manifest = databaseSecret): Promise<string> =>
      (await sealManifest(manifest, { environment: env.policy, scope, kms: env.kms, now })).text;

    describe.each(cells)("$name, $scope", ({ name, scope }) => {
      const home = (): Target => ({ environment: environmentOf(name), namespace: "payments", name: "db" });
      const elsewhere = (kind: Move["kind"]): Target => {
        const other = names[(names.indexOf(name) + 1) % names.length] ?? name;
        if (kind === "environment") return { ...home(), environment: environmentOf(other) };
        return kind === "namespace" ? { ...home(), namespace: "ledger" } : { ...home(), name: "other" };
      };

      it("opens at home, with one call", async () => {
        const before = world.decrypts();
        const { environment, ...target } = home();
        await openSealed(await seal(environment, scope), { environment: environment.policy, target }, [
          ...environment.identities,
        ]);
        if (before !== null) expect(world.decrypts()).toBe(before + 1);
      });

      it.each(moves)("moved to another $kind, $rewritten rewritten", async (move) => {
        const text = await seal(home().environment, scope);
        const target = move.kind === "block" ? home() : elsewhere(move.kind);
        const moved = await movedText(text, { move, scope, target });
        const before = world.decrypts();
        const opening = () =>
          openSealed(
            moved,
            { environment: target.environment.policy, target: { namespace: target.namespace, name: target.name } },
            target.environment.identities,
          );
        if (move.allowed.includes(scope) && move.rewritten === "nothing") {
          await opening();
          return;
        }
        const { code } = await refusalOf(opening);
        const early = move.early.length > 0 && !isInnocent(move, scope);
        if (early) expect(move.early).toContain(code);
        else expect(["not-authentic", "key-refused", "binding-mismatch"]).toContain(code);
        if (before !== null) expect(world.decrypts()).toBe(before + (early ? 0 : 1));
      });

      it.each(moves.filter(({ allowed }) => !allowed.includes(scope)))(
        "KMS itself refuses what was moved to another $kind, $rewritten rewritten",
        async (move) => {
          const text = await seal(home().environment, scope);
          const target = move.kind === "block" ? home() : elsewhere(move.kind);
          const moved = await movedText(text, { move, scope, target });
          const metadata = secretMetadata(parseYaml(moved));
          const { environment, ...place } = target;
          // As the gate calls it, with nothing compared before.
          const context = contextOf({ environment: environment.policy.name, scope, ...place });
          const relabelled = { ...metadata, groups: metadata.groups.map((group) => named(group, environment)) };
          const unwrapping = () =>
            unwrapFile(relabelled, {
              identities: environment.identities,
              namedOnly: true,
              contextOf: () => context,
              file: undefined,
            });
          if (move.kind === "block" && scope !== "strict") return void (await unwrapping());
          expect(["not-authentic", "key-refused"]).toContain((await refusalOf(unwrapping)).code);
        },
      );
    });

    /** Where the scope does not pin what was moved, the context is the same, and what refuses is the binding. */
    function isInnocent({ kind, rewritten, allowed }: Move, scope: Scope): boolean {
      return kind === "block" ? scope !== "strict" : rewritten === "claims" && allowed.includes(scope);
    }

    /** Every KMS entry under the name of the environment's key, as an attacker would write it. */
    function named<Group extends { readonly kms: readonly { readonly arn: string }[] }>(
      group: Group,
      { policy }: KmsEnvironment,
    ): Group {
      return { ...group, kms: group.kms.map((entry) => ({ ...entry, arn: policy.kmsRecipients[0] ?? "" })) };
    }

    async function movedText(
      text: string,
      { move, scope, target }: { readonly move: Move; readonly scope: Scope; readonly target: Target },
    ): Promise<string> {
      if (move.kind === "block") {
        // The block of another file of the same environment.
        const other = await seal(target.environment, scope, mutate(databaseSecret, "name: db", "name: other"));
        return text.slice(0, text.indexOf("\nsops:")) + other.slice(other.indexOf("\nsops:"));
      }
      if (move.rewritten === "nothing") return text;
      const { namespace, name, environment } = target;
      const claimed = text
        .replace("\n  namespace: payments\n", `\n  namespace: ${namespace}\n`)
        .replace("\n  name: db\n", `\n  name: ${name}\n`)
        .replace(/(sealward\.dev\/environment: )\w+/, `$1${environment.policy.name}`);
      if (move.rewritten === "claims") return claimed;
      return claimed
        .replace(/(sealward-environment: )\w+/, `$1${environment.policy.name}`)
        .replace("sealward-namespace: payments", `sealward-namespace: ${namespace}`)
        .replace("sealward-name: db", `sealward-name: ${name}`)
        .replace(/arn: arn:aws:kms:\S+/, `arn: ${environment.policy.kmsRecipients[0]}`);
    }
  });
}
