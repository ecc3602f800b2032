// A repository with KMS keys in which both seal and the released sops run, against one KMS server in this process.
import { onTestFinished } from "vitest";
import { generateAgeIdentity } from "../../src/index.ts";
import { canary } from "../cli/gitdir.ts";
import { type KmsWorld, kmsWorld, type WorldOptions } from "../cli/kms-world.ts";
import { type Peers, peers } from "../support/peers.ts";

/** The age identity that sops has in its home. */
export const own = generateAgeIdentity();

export interface Shared extends KmsWorld {
  /** Runs sops in the repository, as the admin; it must succeed. */
  sops(...args: readonly string[]): Promise<Buffer>;
  /** How sops ended, with other variables. */
  ended(args: readonly string[], env?: Readonly<Record<string, string>>): ReturnType<Peers["start"]>;
}

export async function shared(options: WorldOptions = {}): Promise<Shared & { sealYaml(): string }> {
  const world = await kmsWorld(options);
  const tools = peers([own.secretKey]);
  onTestFinished(() => tools.remove());
  const { accessKeyId, secretAccessKey } = world.server.credentials();
  const aws = {
    AWS_ENDPOINT_URL: world.server.endpoint,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: "eu-central-1",
    AWS_EC2_METADATA_DISABLED: "true",
  };
  const ended: Shared["ended"] = (args, env = {}) =>
    tools.start("sops", args, { cwd: world.dir.path, env: { ...aws, ...env } });
  const sops: Shared["sops"] = async (...args) => {
    const { status, stdout, stderr } = await ended(args);
    if (status !== 0) throw new Error(`sops ${args.join(" ")} ended with ${status}: ${stderr}`);
    return stdout;
  };
  return { ...world, sops, ended };
}

/** What sops calls another format than the name says. */
export const types = (name: string) => ["--input-type", name, "--output-type", name];

export const formats: readonly [name: string, file: string, plain: string, path: string][] = [
  ["yaml", "values.yaml", `database:\n    password: ${canary}\n    port: 5432\n`, '["database"]["password"]'],
  ["json", "app.json", `{\n\t"password": "${canary}",\n\t"port": 5432\n}\n`, '["password"]'],
  ["dotenv", "app.env", `PASSWORD=${canary}\nPORT=5432\n`, '["PASSWORD"]'],
  ["ini", "app.ini", `[database]\npassword = ${canary}\nport     = 5432\n`, '["database"]["password"]'],
  ["binary", "app.bin", `${canary}\0\u0001`, ""],
];
