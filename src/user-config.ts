// Reads a user's own configuration: as whom and where AWS is called. It lies outside every repository, which is why it may
// name what seal.yaml must not: a role, a profile, an endpoint.
import type { YAMLMap } from "yaml";
import type { AwsCaller } from "./aws-kms.ts";
import { ConfigReader } from "./config-reader.ts";
import { isMap } from "./yaml-source.ts";

export interface UserConfig {
  readonly aws: {
    readonly endpoint?: string | undefined;
    readonly stsEndpoint?: string | undefined;
    readonly useFips?: boolean | undefined;
    /** By the environment's name. */
    readonly callers: ReadonlyMap<string, PlacedCaller>;
  };
}

/** Names of environments are anybody's: a role is for those of the repositories it was meant for. */
export interface PlacedCaller extends AwsCaller {
  /** Absolute, or with `~/` in front: below one of these the seal.yaml lies. */
  readonly folders: readonly string[];
}

export const noUserConfig: UserConfig = { aws: { callers: new Map() } };

const rolePattern = /^arn:aws(?:-[a-z]+)*:iam::\d{12}:role\/[\w+=,.@/-]{1,512}$/;

/** True for the ARN of an IAM role. */
export function isRoleArn(text: string): boolean {
  return rolePattern.test(text);
}

/** @throws config-invalid with file, line and column */
export function parseUserConfig(text: string, file: string): UserConfig {
  const reader = new ConfigReader(text, file);
  const root = reader.root(["aws"], "The configuration");
  const aws = root.get("aws", true);
  if (aws === undefined) return noUserConfig;
  if (!isMap(aws)) throw reader.refuse("aws must be a map", root);
  const map = aws as YAMLMap;
  reader.assertKeys(map, ["endpoint", "stsEndpoint", "fips", "environments"], "aws");
  const listed = map.get("environments", true);
  if (listed !== undefined && !isMap(listed)) throw reader.refuse("aws.environments must be a map", map);
  const environments = listed === undefined ? [] : reader.environments(listed as YAMLMap, "aws.environments");
  return {
    aws: {
      endpoint: reader.text(map, "endpoint", isEndpoint, endpoints),
      stsEndpoint: reader.text(map, "stsEndpoint", isEndpoint, endpoints),
      useFips: reader.flag(map, "fips"),
      callers: new Map(environments.map(({ name, value }) => [name, callerIn(reader, name, value)])),
    },
  };
}

function callerIn(reader: ConfigReader, name: string, map: YAMLMap): PlacedCaller {
  const where = `aws.environments.${name}`;
  reader.assertKeys(map, ["folders", "profile", "role"], where);
  const folders = reader.list(
    map,
    "folders",
    (text) => /^(?:~?\/|[A-Za-z]:[\\/])/.test(text),
    "a list of folders, absolute or ~/…",
  );
  if (folders.length === 0)
    throw reader.refuse(`${where} needs folders: where the repositories are whose environment ${name} is meant`, map);
  const profile = reader.text(map, "profile", (text) => /^[\w+=,.@/ -]{1,128}$/.test(text), "the name of a profile");
  const role = reader.text(map, "role", isRoleArn, "the ARN of a role, arn:aws:iam::ACCOUNT:role/NAME");
  return { folders, profile, role };
}

/** Data keys and credentials travel there: in the clear only within the machine. */
function isEndpoint(text: string): boolean {
  return /^(?:https:\/\/[^\s/@]+|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?)(?:\/\S*)?$/.test(text);
}

const endpoints = "a URL that begins with https://, or http:// on this machine";
