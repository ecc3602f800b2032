// A KMS and an STS for tests: a real HTTP server on 127.0.0.1 that the AWS SDK talks to as it talks to AWS. Everything is
// in memory. What it does not model it answers with 501, and close() fails then, so that no test passes by luck.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type Call, CallLog, type Statistics } from "./call-log.ts";
import { Endpoint } from "./endpoint.ts";
import { Faults } from "./faults.ts";
import {
  type AccessKey,
  Identities,
  type RoleOptions,
  type SessionCredentials,
  type SessionRequest,
  type UserOptions,
} from "./identities.ts";
import { type Key, type KeyState, Keys } from "./keys.ts";
import type { PolicyDocument } from "./policy-documents.ts";

export interface KmsServerOptions {
  /** The account of what does not say; 111122223333. */
  readonly account?: string;
  /** Besides `arn:aws:iam::<account>:user/admin`, which is always there. */
  readonly users?: readonly UserOptions[];
  readonly roles?: readonly RoleOptions[];
  /** The clock of sessions and deletions. */
  readonly now?: () => Date;
  /** Before every answer. */
  readonly latencyMs?: number;
  /** What waits, for latency and delays; real time where left out. */
  readonly sleep?: (milliseconds: number) => Promise<void>;
  readonly port?: number;
}

export interface CreateKeyOptions {
  readonly region: string;
  readonly account?: string;
  /** With or without `alias/` in front. */
  readonly alias?: string;
  readonly multiRegion?: boolean;
  /** Further Regions of a multi-Region key, with the same policy and alias. */
  readonly replicas?: readonly string[];
  readonly policy?: PolicyDocument;
}

export interface CreatedKey {
  readonly arn: string;
  readonly keyId: string;
  /** Undefined where no alias was asked for. */
  readonly aliasArn: string | undefined;
  /** The ARNs of the replicas, in the order of their Regions. */
  readonly replicas: readonly string[];
}

export interface KmsServer {
  readonly endpoint: string;
  readonly faults: Faults;
  readonly calls: readonly Call[];
  statistics(): Statistics;
  /** Empties `calls` and starts `maxInFlight` anew. */
  forgetCalls(): void;
  /** Of a user; of the account's admin where none is named. */
  credentials(userArn?: string): AccessKey;
  /** A session of a role, without a request and whoever the role trusts. */
  session(roleArn: string, request: SessionRequest): SessionCredentials;
  createKey(options: CreateKeyOptions): CreatedKey;
  setKeyState(arn: string, state: KeyState): void;
  setKeyPolicy(arn: string, policy: PolicyDocument): void;
  rotate(arn: string): void;
  /** Throws if a request relied on what is not modelled, or met a bug of this server. */
  close(): Promise<void>;
}

const defaultAccount = "111122223333";

class RunningKms implements KmsServer {
  readonly faults: Faults = new Faults();
  readonly #keys: Keys;
  readonly #identities: Identities;
  readonly #account: string;
  readonly #log = new CallLog();
  readonly #problems: Error[] = [];
  readonly #server: Server;

  constructor({ account = defaultAccount, users = [], roles = [], latencyMs = 0, ...options }: KmsServerOptions) {
    const now = options.now ?? (() => new Date());
    const sleep = options.sleep ?? delay;
    this.#account = account;
    this.#keys = new Keys(now);
    const admin = { arn: this.#adminArn };
    const isGiven = users.some(({ arn }) => arn === admin.arn);
    this.#identities = new Identities(isGiven ? users : [admin, ...users], roles, now);
    const endpoint = new Endpoint({
      keys: this.#keys,
      identities: this.#identities,
      faults: this.faults,
      log: this.#log,
      now,
      wait: async (milliseconds) => void (await sleep(milliseconds)),
      latencyMs,
      onProblem: (problem) => this.#problems.push(problem),
    });
    this.#server = createServer((request, response) => void endpoint.serve(request, response));
  }

  async listen(port: number): Promise<void> {
    const server = this.#server;
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  }

  get #adminArn(): string {
    return `arn:aws:iam::${this.#account}:user/admin`;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get calls(): readonly Call[] {
    return this.#log.calls;
  }

  statistics(): Statistics {
    return this.#log.statistics();
  }

  forgetCalls(): void {
    this.#log.clear();
  }

  credentials(userArn: string = this.#adminArn): AccessKey {
    return this.#identities.accessKeyOf(userArn);
  }

  session(roleArn: string, request: SessionRequest): SessionCredentials {
    return this.#identities.openSession(roleArn, request);
  }

  createKey({
    region,
    account = this.#account,
    alias,
    multiRegion,
    replicas = [],
    policy,
  }: CreateKeyOptions): CreatedKey {
    const isMultiRegion = multiRegion ?? replicas.length > 0;
    const key = this.#keys.create({ region, account, multiRegion: isMultiRegion, policy });
    const copies = replicas.map((other) => this.#keys.replicate(key, other, policy));
    const name = alias?.startsWith("alias/") === false ? `alias/${alias}` : alias;
    const aliases = name === undefined ? [] : [key, ...copies].map((each) => this.#keys.setAlias(name, each, "create"));
    return { arn: key.arn, keyId: key.family.keyId, aliasArn: aliases[0], replicas: copies.map(({ arn }) => arn) };
  }

  setKeyState(arn: string, state: KeyState): void {
    const key = this.#key(arn);
    if (state === "PendingDeletion") this.#keys.scheduleDeletion(key, 30);
    else key.deletionDate = undefined;
    key.state = state;
  }

  setKeyPolicy(arn: string, policy: PolicyDocument): void {
    this.#keys.setPolicy(this.#key(arn), policy);
  }

  rotate(arn: string): void {
    this.#keys.rotate(this.#key(arn));
  }

  #key(arn: string): Key {
    return this.#keys.find(arn, { region: arn.split(":")[3] ?? "", account: this.#account });
  }

  async close(): Promise<void> {
    this.faults.clear();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    if (this.#problems.length === 0) return;
    const said = [...new Set(this.#problems.map(({ message }) => message))].join("; ");
    throw new AggregateError(this.#problems, `requests to the KMS test server failed for its own reasons: ${said}`);
  }
}

export async function startKmsServer(options: KmsServerOptions = {}): Promise<KmsServer> {
  const server = new RunningKms(options);
  await server.listen(options.port ?? 0);
  return server;
}
