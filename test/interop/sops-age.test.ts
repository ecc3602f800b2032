import { decryptSops } from "sops-age";
import { describe, expect, it } from "vitest";
import { openSealed } from "../../src/index.ts";
import { layouts } from "../support/layouts.ts";
import { environment, sealed } from "../support/sealing.ts";

const prod = environment("prod");

/** It takes digits in a path for a list's index, and leaves them out of what is authenticated. */
const readable = layouts.filter(([, manifest]) => !manifest.includes('"123"'));

describe("the sops-age package, a second reader of the format", () => {
  it.each(readable)("reads what we sealed: %s", async (_, manifest) => {
    const text = await sealed(prod, manifest);
    const theirs = await decryptSops(text, { secretKey: prod.secretKey, fileType: "yaml" });
    const { data } = await openSealed(text, { environment: prod.policy, target: "own" }, [prod.identity]);
    const decoded = Object.entries<string>(theirs.data ?? {}).map(([key, base64]) => [
      key,
      Buffer.from(base64, "base64"),
    ]);
    const texts = Object.entries<string>(theirs.stringData ?? {}).map(([key, value]) => [key, Buffer.from(value)]);
    expect(Object.fromEntries([...decoded, ...texts])).toEqual(
      Object.fromEntries([...data].map(([key, bytes]) => [key, Buffer.from(bytes)])),
    );
  });
});
