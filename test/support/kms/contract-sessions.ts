// The contract about who asks: roles that are assumed, by a user and by a web identity, and senders that nobody knows.
import {
  AssumeRoleCommand,
  AssumeRoleWithWebIdentityCommand,
  type Credentials,
  GetCallerIdentityCommand,
} from "@aws-sdk/client-sts";
import type { ClientOptions } from "./clients.ts";
import type { Question, World } from "./contract.ts";
import { answerOf, home, newKey, opening, sealed } from "./contract-asking.ts";

function credentialsOf(given: Credentials | undefined): ClientOptions["credentials"] {
  const { AccessKeyId = "", SecretAccessKey = "", SessionToken = "" } = given ?? {};
  return { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken };
}

async function callerWith(world: World, given: Credentials | undefined): Promise<string> {
  const sts = world.sts(home, credentialsOf(given));
  const { Arn = "" } = await sts.send(new GetCallerIdentityCommand({}));
  return Arn.replace(/\d{12}/, "ACCOUNT");
}

const assume = (world: World, RoleSessionName: string) =>
  world.sts(home).send(new AssumeRoleCommand({ RoleArn: world.roleArn, RoleSessionName, DurationSeconds: 900 }));

const identify = (world: World, WebIdentityToken: string) => {
  const input = { RoleArn: world.roleArn, RoleSessionName: "pod-7", WebIdentityToken };
  return world.sts(home).send(new AssumeRoleWithWebIdentityCommand(input));
};

export const sessionQuestions: readonly Question[] = [
  [
    "a session is who the role and the session's name say",
    "arn:aws:sts::ACCOUNT:assumed-role/sealer/jane@example.com",
    async (world) => callerWith(world, (await assume(world, "jane@example.com")).Credentials),
  ],
  [
    "a session opens what the account's keys sealed",
    "opened",
    async (world) => {
      const { client, arn } = await newKey(world);
      const CiphertextBlob = await sealed(client, arn);
      const { Credentials: given } = await assume(world, "ci-17");
      return opening(world.kms(home, credentialsOf(given)), { CiphertextBlob });
    },
  ],
  [
    "a web identity becomes a session without any credentials",
    "arn:aws:sts::ACCOUNT:assumed-role/sealer/pod-7",
    async (world) => callerWith(world, (await identify(world, world.webIdentityToken)).Credentials),
  ],
  [
    "a web identity that nobody issued is refused",
    "InvalidIdentityTokenException",
    (world) => answerOf(identify(world, "not-a-token").then(() => "assumed")),
  ],
  [
    "a session's name is 2 to 64 plain characters",
    ["ValidationError", "ValidationError", "ValidationError"],
    async (world) => {
      const answers = [];
      for (const name of ["x", "jane doe", "x".repeat(65)]) {
        answers.push(await answerOf(assume(world, name).then(() => "assumed")));
      }
      return answers;
    },
  ],
  [
    "an access key that nobody has is refused",
    ["UnrecognizedClientException", "InvalidClientTokenId"],
    async (world) => {
      const { client, arn } = await newKey(world);
      const CiphertextBlob = await sealed(client, arn);
      const unknown = { accessKeyId: "AKIA0000000000000000", secretAccessKey: "unknown" };
      const identity = world.sts(home, unknown).send(new GetCallerIdentityCommand({}));
      return [
        await opening(world.kms(home, unknown), { CiphertextBlob }),
        await answerOf(identity.then(() => "answered")),
      ];
    },
  ],
];
