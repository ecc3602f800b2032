// The library's public face: everything that cli and controller use, and nothing else. Imported by nothing within src.
export { type AgeIdentity, assertAgeRecipient, generateAgeIdentity, parseAgeIdentities } from "./age-keys.ts";
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
export { parseConfig } from "./config.ts";
export { type Config, type EnvironmentPolicy, type EnvironmentSources, findEnvironment } from "./environment.ts";
export { type ErrorCode, errorCodes, type Place, SealwardError } from "./errors.ts";
export type { Expectation, Notice, SealedInfo } from "./gate.ts";
export { type Scope, scopes } from "./manifest.ts";
export {
  checkSealed,
  decryptSops,
  isSealed,
  type OpenedSecret,
  openSealed,
  readManifest,
  type SecretManifest,
} from "./open.ts";
export type { SealOptions } from "./prepare.ts";
export {
  type Resealed,
  resealEdited,
  setValue,
  type WriteOptions,
} from "./reseal.ts";
export { type Sealed, sealManifest } from "./seal.ts";
export type { RecipientEntry } from "./sops-metadata.ts";
export { maxDocumentBytes } from "./yaml-source.ts";
