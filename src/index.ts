// The library's public face: everything that cli and controller use, and nothing else. Imported by nothing within src.
export {
  type AgeIdentity,
  assertAgeRecipient,
  generateAgeIdentity,
  generateHybridIdentity,
  includesRecipient,
  isSameRecipient,
  parseAgeIdentities,
  uniqueRecipients,
} from "./age-keys.ts";
export { type CallerReport, describeKey, inspectCaller, inspectKey, type KeyReport } from "./aws-inspect.ts";
export { type AwsCaller, AwsKms, type AwsKmsOptions, asSessionName } from "./aws-kms.ts";
export { type BindOptions, type BindResult, bindSealed } from "./bind.ts";
export {
  type BoundSecretFile,
  boundSecretApiVersion,
  boundSecretKind,
  rewrapBoundSecret,
  unwrapBoundSecret,
  wrapDocument,
} from "./bound-secret.ts";
export { documentDigest } from "./bytes.ts";
export {
  type Difference,
  differencesOf,
  type SealedView,
  type ViewedValue,
  viewClosed,
  viewSealed,
  viewSops,
} from "./comparison.ts";
export { parseConfig } from "./config.ts";
export type { Identity, KmsRecipient, Recipient, Recipients } from "./data-key.ts";
export {
  type Config,
  type EnvironmentPolicy,
  type EnvironmentSources,
  findEnvironment,
  mustBeSealed,
} from "./environment.ts";
export { type ErrorCode, errorCodes, type Place, quoteName, SealwardError } from "./errors.ts";
export type { Expectation, SealedInfo } from "./gate.ts";
export { isEncryptedIdentityFile, openIdentityFile } from "./identity-file.ts";
export {
  assertKeyArn,
  assertRecipient,
  contextOf,
  type EncryptionContext,
  environmentContext,
  isOurContext,
  isSameKey,
  type Kms,
  KmsIdentity,
  parseKeyArn,
} from "./kms.ts";
export { KmsCache } from "./kms-cache.ts";
export {
  type AccessPolicy,
  type KmsPolicies,
  type KmsPolicyOptions,
  kmsPolicies,
  type PodIdentity,
  type PolicyStatement,
} from "./kms-policy.ts";
export { firstMarker, sidesOf, withMarkers } from "./line-merge.ts";
export { type Scope, scopes } from "./manifest.ts";
export { type Decision, type MergeConflict, mergeSealed, mergeSops, type SealedMerge } from "./merge.ts";
export { nearestKey } from "./near-key.ts";
export {
  checkSealed,
  decryptSops,
  isSealed,
  type OpenedSecret,
  openSealed,
  readManifest,
  type SecretManifest,
} from "./open.ts";
export { globsOfPathRegex, matchEverything, overlapOf } from "./path-glob.ts";
export { checkPlain, editPlain, openPlain, ownIdentities, rewrapPlain, sealPlain } from "./plain-gate.ts";
export type { SealOptions } from "./prepare.ts";
export { type Promotion, promotedManifest, provenanceAnnotation, withPromoted } from "./promote.ts";
export { assertNoneExpired, type Notice } from "./recipients.ts";
export {
  type EditableSecret,
  editSealed,
  type Resealed,
  resealEdited,
  type WriteOptions,
} from "./reseal.ts";
export { type ExplainedKey, explainRule, explainSelection, type RuleExplanation } from "./rule-explanation.ts";
export { type Sealed, sealManifest } from "./seal.ts";
export { type SelectionRule, selectionRules } from "./selection.ts";
export type { Path } from "./sops-change.ts";
export {
  type CreationRule,
  findCreationRule,
  parseSopsConfig,
  type RuleKey,
  type RuleSelection,
  type SopsConfig,
  type UnusedField,
  type WrittenRule,
} from "./sops-config.ts";
export {
  type ChangeSopsOptions,
  describeSops,
  type EditableSops,
  editSops,
  isSopsFile,
  kmsKeysIn,
  type NewValue,
  openersOf,
  openSops,
  plainAs,
  rekeySops,
  resealSops,
  rewrapSops,
  type SopsDescription,
  type SopsSource,
  sealSops,
  selectedIn,
  setInSops,
  unsetInSops,
} from "./sops-document.ts";
export type { RecipientEntry } from "./sops-metadata.ts";
export { formatPath, parsePath } from "./sops-path.ts";
export type { StoreName } from "./store.ts";
export { storeNames, storeOf } from "./stores.ts";
export { isRoleArn, noUserConfig, parseUserConfig, type UserConfig } from "./user-config.ts";
export { setValue, unsetValue } from "./value-change.ts";
export { maxDocumentBytes } from "./yaml-source.ts";
