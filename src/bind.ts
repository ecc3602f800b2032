// `seal bind`: gives a SOPS Secret its binding, or renews one after a change that was meant. Opens the file as SOPS would,
// MAC and all, and never moves it to another environment.
import { isWrappedForOne } from "./age.ts";
import { includesRecipient } from "./age-keys.ts";
import { type Binding, bindingOf } from "./binding.ts";
import { assertCommentsStaySecret } from "./clear-leak.ts";
import { type Identity, printableId, withKeyBytes } from "./data-key.ts";
import { quoteName, SealwardError } from "./errors.ts";
import { check, type SealedInfo, sealedRule, secretMetadata, unboundRule } from "./gate.ts";
import { contextOf, type EncryptionContext, isOurContext, isSameContext, isSameKey } from "./kms.ts";
import { bindingAnnotation, type Scope, scopeAnnotation, scopes } from "./manifest.ts";
import { ownBinding } from "./own-binding.ts";
import { type Prepared, prepare, type SealOptions } from "./prepare.ts";
import { isListedEntry, missingIn, recipientsOf } from "./recipients.ts";
import { renewed } from "./reseal.ts";
import { encryptManifest, encryptUnderNewKey } from "./seal.ts";
import { withoutBinding } from "./secret-text.ts";
import { wrapForOthers } from "./sops-change.ts";
import { clearFile, type OpenedFile, openFile } from "./sops-file.ts";
import { newMetadata, type SopsMetadata, unknownCollection } from "./sops-metadata.ts";
import { looksEncrypted } from "./sops-value.ts";
import { applyEdits, replaceScalar } from "./splice.ts";
import { isScalar, maxSopsFileBytes, parseYaml, type YamlSource } from "./yaml-source.ts";
import { loadYaml } from "./yaml-store.ts";

export interface BindOptions extends SealOptions {
  /** Recipients of the other environments, age and KMS; some may be this one's as well. */
  readonly otherRecipients?: readonly string[] | undefined;
  /** True where a person named the environment: what is in the file or around it is the writer's word. */
  readonly isNamed?: boolean | undefined;
  /** True where a bound file may be bound to another namespace or name than it is. */
  readonly mayMove?: boolean | undefined;
}

export interface BindResult {
  readonly text: string;
  readonly info: SealedInfo;
  /** What is different now, for people. */
  readonly changes: readonly string[];
}

/**
 * Binds a SOPS Secret that has no binding, or binds again one whose labels, keys, name or recipients were changed on
 * purpose. The MAC must hold, and a binding that is there must be of the same environment. Recipients become the
 * environment's; one that could open the file and no longer should costs a new data key. KMS entries get the encryption
 * context that belongs there.
 * @throws environment-mismatch, context-mismatch, not-authentic, identity-missing, identity-unmatched, and every refusal of sealing
 */
export async function bindSealed(
  document: string,
  options: BindOptions,
  identities: readonly Identity[],
): Promise<BindResult> {
  const { environment, file } = options;
  assertNotElsewhere(document, options);
  // Labels of entries are not authenticated: an identity of another environment opens nothing here, whatever it is called.
  const elsewhere = elsewhereOnly(options);
  const own = identities.filter(({ recipient }) => !opensFor(elsewhere, recipient));
  // Every entry was looked at above: none says that it is of another place.
  const ownContextOf = ({ context }: { readonly context: EncryptionContext }) => context;
  const opened = await openFile(loadYaml(document, { file }), {
    identities: own,
    namedOnly: true,
    contextOf: ownContextOf,
  });
  const binding = ownBinding(opened.file, opened.key, { mustAgree: false });
  const { metadata, key } = opened;
  if (binding !== null && binding.environment !== environment.name) {
    throw new SealwardError(
      "environment-mismatch",
      `The file is bound to ${quoteName(binding.environment)}; binding does not move it to ${quoteName(environment.name)}`,
      { file },
    );
  }
  if (binding === null) assertShown(opened, options);
  const plain = clearFile(opened);
  const prepared = prepare(withScope(withoutBinding(plain), options.scope), options);
  const differences = binding === null ? [] : differencesOf(binding, prepared, options);
  assertCommentsStaySecret(prepared.manifest, opened.comments);
  const context = contextOf(prepared.place);
  const foreign = metadata.recipients.filter((entry) => !isListedEntry(environment, entry));
  const missing = missingIn(metadata, environment);
  const misplaced = metadata.kms.filter((entry) => !isSameContext(entry.context, context));
  const opensForOthers = foreign.length > 0 || hasHiddenRecipient(metadata);
  const keepsKey = !opensForOthers && isOurSelection(metadata);
  const keepsBlock = missing.length + misplaced.length === 0 && metadata.rule?.pattern === sealedRule.pattern;
  const wrap = (raw: Uint8Array) =>
    wrapForOthers(raw, { recipients: recipientsOf(environment, context), metadata, options });
  const groups = keepsBlock || !keepsKey ? [] : await withKeyBytes(key, wrap);
  const text = keepsKey
    ? encryptManifest(prepared.manifest, {
        place: prepared.place,
        now: options.now,
        key,
        metadata: keepsBlock
          ? renewed(metadata.raw)
          : (lastModified, mac) =>
              newMetadata({ groups, rule: sealedRule, lastModified, keyMade: metadata.keyMade, mac }),
        previous: { opened, plain, binding },
        keepsBlock,
      })
    : await encryptUnderNewKey(prepared, options);
  // What is written here passes the gate; a binding that does not would be no repair.
  check(text, { environment, target: "own" }, file);
  const { scope, namespace, name } = prepared.place;
  const changes = [
    binding === null ? `bound to ${environment.name}, scope ${scope}` : "binding renewed",
    ...differences,
    ...foreign.map(({ kind, id }) => `removed the ${kind} recipient ${printableId(id)}: new data key`),
    ...(hasHiddenRecipient(metadata) ? ["removed recipients that no entry named: new data key"] : []),
    ...(!opensForOthers && !keepsKey ? ["selection rule replaced: new data key"] : []),
    ...(metadata.onlyEncrypted
      ? ["mac_only_encrypted: until now nothing confirmed the clear fields; look at them"]
      : []),
    ...missing.map((recipient) => `added the recipient ${recipient}`),
    ...misplaced
      .filter(({ arn }) => !foreign.some(({ id }) => id === arn))
      .map(({ arn }) => `gave the entry of ${printableId(arn)} the encryption context that belongs here`),
    ...(!keepsKey && opened.comments.some(({ text: comment }) => looksEncrypted(comment))
      ? ["a comment that could not be opened stays as it is, under the old data key"]
      : []),
    ...prepared.notices,
  ];
  return {
    text,
    info: { environment: environment.name, scope, namespace, name, type: prepared.manifest.type },
    changes,
  };
}

function elsewhereOnly({ environment, otherRecipients = [] }: BindOptions): readonly string[] {
  const own = [...environment.ageRecipients, ...environment.kmsRecipients];
  return otherRecipients.filter((recipient) => !opensFor(own, recipient));
}

/** Whether what opens for this recipient opens for one of these: replicas of a multi-Region key do so for each other. */
function opensFor(recipients: readonly string[], recipient: string): boolean {
  return includesRecipient(recipients, recipient) || recipients.some((other) => isSameKey(other, recipient));
}

/** An unbound file says nothing of where it belongs but through who can open it: another environment's file stays there. */
function assertNotElsewhere(document: string, options: BindOptions): void {
  const source = parseYaml(document, { file: options.file, maxBytes: maxSopsFileBytes });
  const metadata = secretMetadata(source);
  assertNoOtherPlace(source, metadata, options);
  if (source.root.getIn(["metadata", "annotations", bindingAnnotation]) !== undefined) return;
  const elsewhere = elsewhereOnly(options);
  const other = metadata.recipients.find(({ id }) => opensFor(elsewhere, id));
  if (other === undefined) return;
  throw source.refusal(
    "recipient-foreign",
    `The file has no binding and is sealed to ${other.id}, a recipient of another environment than ${quoteName(options.environment.name)}`,
  );
}

/**
 * KMS entries that say where they belong, say so of this environment, and unless a Secret is to be moved of this one. Others
 * were made with other tools; their context is sent as it is, for a person has asked for this very file.
 */
function assertNoOtherPlace(source: YamlSource, { kms }: SopsMetadata, { environment, mayMove }: BindOptions): void {
  const field = (name: string) => String(source.root.getIn(["metadata", name]) ?? "");
  const own = (context: EncryptionContext) => ({
    environment: environment.name,
    namespace: mayMove === true ? context["sealward-namespace"] : field("namespace"),
    name: (mayMove === true ? context["sealward-name"] : undefined) ?? field("name"),
  });
  for (const { arn, context } of kms) {
    if (!isOurContext(context)) continue;
    if (scopes.some((scope) => isSameContext(context, contextOf({ ...own(context), scope })))) continue;
    const elsewhere = context["sealward-environment"] !== environment.name;
    throw source.refusal(
      "context-mismatch",
      elsewhere
        ? `The entry of ${printableId(arn)} was made for the environment ${quoteName(context["sealward-environment"])}; binding does not move it to ${quoteName(environment.name)}`
        : `The entry of ${printableId(arn)} was made for ${quoteName(context["sealward-namespace"])}/${quoteName(context["sealward-name"])}, not for what the file is now: binding it so needs --move`,
    );
  }
}

/** Entries can be taken out by whoever writes the repository: one that every environment has shows nothing. */
function assertShown(
  { openedBy }: OpenedFile,
  { environment, otherRecipients = [], isNamed, file }: BindOptions,
): void {
  if (isNamed === true || openedBy.some((recipient) => !opensFor(otherRecipients, recipient))) return;
  throw new SealwardError(
    "recipient-foreign",
    `The file has no binding and was opened by ${openedBy.join(", ")}, a recipient of other environments too: nothing shows that it is ${quoteName(environment.name)}'s, unless you say so (--env)`,
    { file },
  );
}

/** What a renewed binding says otherwise. Moving a Secret and widening its scope are for people to ask for. */
function differencesOf(binding: Binding, { manifest, place }: Prepared, { scope, mayMove }: BindOptions): string[] {
  const fresh = bindingOf(manifest, place, binding.nonce);
  const refuse = (what: string, was: string | undefined, now: string | undefined, flag: string) =>
    manifest.source.refusal(
      "binding-mismatch",
      `The file is bound to ${what} ${quoteName(was)} and now has ${quoteName(now)}: binding it so needs ${flag}`,
    );
  if (fresh.scope !== binding.scope && scope === undefined)
    throw refuse("scope", binding.scope, fresh.scope, "--scope");
  for (const field of ["namespace", "name"] as const) {
    const [was, now] = [binding[field], fresh[field]];
    if (was !== undefined && now !== undefined && was !== now && mayMove !== true)
      throw refuse(field, was, now, "--move");
  }
  return [
    ...(["scope", "namespace", "name", "type"] as const)
      .filter((field) => binding[field] !== fresh[field])
      .map((field) => `${field}: was ${quoteName(binding[field])}, now ${quoteName(fresh[field])}`),
    ...(binding.plain === fresh.plain
      ? []
      : ["labels, annotations, immutable or key names differ from what was bound: look at `git diff`"]),
  ];
}

/** True where an entry is wrapped for more than the key it names, or the block has entries of a kind we do not know. */
function hasHiddenRecipient({ age, raw }: SopsMetadata): boolean {
  return age.some(({ enc, recipient }) => !isWrappedForOne(enc, recipient)) || unknownCollection(raw) !== undefined;
}

function isOurSelection({ rule, onlyEncrypted, hasKeyGroups }: SopsMetadata): boolean {
  return (
    rule?.name === "encrypted_regex" &&
    [sealedRule.pattern, unboundRule.pattern].includes(rule.pattern) &&
    !onlyEncrypted &&
    !hasKeyGroups
  );
}

/** The text with another scope claim, where one was asked for and a claim is there. */
function withScope(plainText: string, scope: Scope | undefined): string {
  if (scope === undefined) return plainText;
  const source = parseYaml(plainText);
  const node: unknown = source.root.getIn(["metadata", "annotations", scopeAnnotation], true);
  return isScalar(node) ? applyEdits(plainText, [replaceScalar(source, node, scope)]) : plainText;
}
