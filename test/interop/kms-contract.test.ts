// Our KMS test server and the released moto answer the same questions. Ours must answer as AWS does; what moto answers
// otherwise is listed with the reason, and asserted, so that a moto that learnt better is noticed.
import { describe } from "vitest";
import { findTool, titled } from "../support/available.ts";
import { type ClientOptions, kmsClient, stsClient } from "../support/kms/clients.ts";
import { type Difference, keepsTheContract, type World } from "../support/kms/contract.ts";
import { startKmsServer } from "../support/kms/kms-server.ts";
import { startMoto } from "../support/kms/moto.ts";

type Credentials = ClientOptions["credentials"];

function clientsOf(endpoint: string, own: Credentials): Pick<World, "kms" | "sts"> {
  return {
    kms: (region, credentials = own) => kmsClient({ endpoint, region, credentials }),
    sts: (region, credentials = own) => stsClient({ endpoint, region, credentials }),
  };
}

async function startOwn(): Promise<World> {
  const account = "111122223333";
  const roleArn = `arn:aws:iam::${account}:role/sealer`;
  const webIdentityToken = "a-token-of-the-cluster";
  const trusts = [`arn:aws:iam::${account}:root`];
  const server = await startKmsServer({
    account,
    roles: [{ arn: roleArn, trusts, webIdentityTokens: [webIdentityToken] }],
  });
  return { ...clientsOf(server.endpoint, server.credentials()), roleArn, webIdentityToken, stop: () => server.close() };
}

async function startTheirs(): Promise<World> {
  const { endpoint, stop } = await startMoto();
  const roleArn = "arn:aws:iam::123456789012:role/sealer";
  const own = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "any" };
  return { ...clientsOf(endpoint, own), roleArn, webIdentityToken: "a-token-of-the-cluster", stop };
}

const runsTogether: Difference = {
  answers: "opened",
  because: "it joins the keys and values of a context without saying where each ends",
};
const namesNoKey: Difference = {
  answers: "AccessDeniedException",
  because: "it has one refusal for every key that does not fit, where AWS says which key is meant",
};
const usedInEveryState = (state: string): Difference => ({
  answers: { encrypt: "encrypted", decrypt: "opened", generate: "generated", state },
  because: "it keeps a key's state and never looks at it",
});

/** Of moto 5.2.1 and 5.2.5, by the questions of the contract. */
const motoDiffers: Readonly<Record<string, Difference>> = {
  "a value that moves into its key does not open": runsTogether,
  "entries that run together do not open": runsTogether,
  "a key that moves into its value does not open": runsTogether,
  "another key that is named does not open": namesNoKey,
  "an alias that moved does not open what it sealed before": namesNoKey,
  "what is no ciphertext does not open": {
    answers: "AccessDeniedException",
    because: "it takes the first bytes of anything for the id of a key, which it then has not",
  },
  "a replica of a multi-Region key opens what its primary sealed": {
    answers: ["AccessDeniedException", "AccessDeniedException"],
    because: "it reads 36 characters of a key id from a ciphertext, and the id of a multi-Region key has 40",
  },
  "a disabled key does nothing": usedInEveryState("Disabled"),
  "a key that waits for its deletion does nothing": usedInEveryState("PendingDeletion"),
  "a key's state is changed under its ARN as well": {
    answers: ["SyntaxError", "SyntaxError", "SyntaxError", "SyntaxError"],
    because: "it looks these keys up by their id alone and ends with an HTML page and 500",
  },
  "a dry run gives nothing away, and says that it would have worked": {
    answers: { encrypt: "encrypted", decrypt: "the plaintext", reEncrypt: "encrypted", generate: "the plaintext" },
    because: "it knows no DryRun",
  },
  "a rotation makes new material, which Decrypt, ReEncrypt and DescribeKey tell apart": {
    answers: {
      describedBefore: false,
      isAnother: false,
      ofTheOldCiphertext: false,
      reEncryptNamesBoth: false,
      opensTheOld: "opened",
    },
    because: "its rotation is an entry in a list, and it knows no ids of material",
  },
  "a policy that denies Decrypt denies it, and nothing else": {
    answers: ["encrypted", "opened"],
    because: "it asks the policy for DescribeKey only",
  },
  "a policy that is no JSON is refused": { answers: "created", because: "it keeps policies unread" },
  "a web identity that nobody issued is refused": { answers: "assumed", because: "it looks at no token" },
  "a session's name is 2 to 64 plain characters": {
    answers: ["assumed", "assumed", "ValidationError"],
    because: "it checks that a name is not too long, and nothing else of it",
  },
  "an access key that nobody has is refused": {
    answers: ["opened", "answered"],
    because: "it answers everybody",
  },
};

describe("the KMS test server", () => keepsTheContract({ start: startOwn, differs: {} }));

describe.skipIf(findTool("moto_server") === null)(titled("the released moto", "moto_server"), () =>
  keepsTheContract({ start: startTheirs, differs: motoDiffers }),
);
