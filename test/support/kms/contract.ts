// What our code relies on in KMS and STS, as one list of questions with the answers AWS gives. Any server is asked them
// through the SDK; where one is known to answer otherwise, it must answer just so, for else the table of its differences
// is out of date. Knows no server.
import type { KMSClient } from "@aws-sdk/client-kms";
import type { STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClientOptions } from "./clients.ts";
import { contextQuestions } from "./contract-contexts.ts";
import { keyQuestions } from "./contract-keys.ts";
import { sessionQuestions } from "./contract-sessions.ts";

/** A server that runs. */
export interface World {
  readonly kms: (region: string, credentials?: ClientOptions["credentials"]) => KMSClient;
  readonly sts: (region: string, credentials?: ClientOptions["credentials"]) => STSClient;
  /** A role that the sender may assume, also with `webIdentityToken`. */
  readonly roleArn: string;
  readonly webIdentityToken: string;
  stop(): Promise<void>;
}

/** What a server answers otherwise than AWS, and why that is known. */
export interface Difference {
  readonly answers: unknown;
  readonly because: string;
}

export interface Candidate {
  readonly start: () => Promise<World>;
  /** By the question. */
  readonly differs: Readonly<Record<string, Difference>>;
}

/** Asks the running server something; the result is compared as a whole. */
export type Ask = (world: World) => Promise<unknown>;
/** The question, the answer of AWS, how to ask. */
export type Question = readonly [title: string, answer: unknown, ask: Ask];

const questions: readonly Question[] = [...contextQuestions, ...keyQuestions, ...sessionQuestions];

/** Registers the tests; call it inside a `describe` that names the server. */
export function keepsTheContract({ start, differs }: Candidate): void {
  let world: World;
  beforeAll(async () => {
    world = await start();
  });
  afterAll(() => world?.stop());

  it.each(questions)("%s", async (title, answer, ask) => {
    expect(await ask(world)).toEqual(differs[title]?.answers ?? answer);
  });

  describe("its differences", () => {
    it("are about questions that are asked, and are differences", () => {
      for (const [title, { answers, because }] of Object.entries(differs)) {
        const question = questions.find(([asked]) => asked === title);
        expect(question, `the question "${title}"`).toBeDefined();
        expect(answers, `the answer to "${title}"`).not.toEqual(question?.[1]);
        expect(because).not.toBe("");
      }
    });
  });
}
