// docs/seal-yaml.md against the code: its examples are read, its keys are all there are, its table of outcomes holds.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { findEnvironment, parseConfig, SealwardError } from "../../src/index.ts";
import { fencedBlocks, sectionOf } from "./markdown.ts";

const page = readFileSync("docs/seal-yaml.md", "utf8");
const examples = fencedBlocks(page, "yaml");
const [first = ""] = examples;
const config = parseConfig(first, "seal.yaml");

test("every example is a valid seal.yaml", () => {
  expect(examples).toHaveLength(3);
  for (const example of examples) expect(parseConfig(example, "seal.yaml").environments.size).toBeGreaterThan(0);
});

test("the example says what the page tells about it", () => {
  const [staging, prod] = [config.environments.get("staging"), config.environments.get("prod")];
  expect(staging).toMatchObject({ defaultScope: "strict", scopes: ["strict"], strictRecipients: false });
  expect(prod).toMatchObject({ scopes: ["strict", "namespace"], strictRecipients: true, acceptedUnbound: [] });
  expect(prod?.ageRecipients).toHaveLength(2);
});

test("the tables of keys are complete: the messages for an unknown key name the same ones", () => {
  const keysIn = (text: string): string[] => [
    ...new Set([...text.matchAll(/^\| `([\w.]+)` \|/gm)].map(([, key = ""]) => key.split(".")[0] ?? "")),
  ];
  const [ofFile = "", ofEnvironment = ""] = sectionOf(page, "## Keys").split("Under each environment:");
  const allowed = (text: string): string[] => {
    try {
      parseConfig(text, "seal.yaml");
    } catch (problem) {
      if (problem instanceof SealwardError) return (/; it has (.*)$/.exec(problem.message)?.[1] ?? "").split(", ");
    }
    return [];
  };
  expect(keysIn(ofFile)).toEqual(allowed("odd: 1\n"));
  expect(keysIn(ofEnvironment)).toEqual(allowed("version: 1\nenvironments:\n  prod:\n    odd: 1\n"));
});

const rows = [...sectionOf(page, "## Which environment a file belongs to").matchAll(/^\|(.*)\|$/gm)]
  .map(([, row = ""]) => row.split("|").map((cell) => cell.replaceAll("`", "").trim()))
  .filter((cells) => cells.length === 5 && !/^-|^file$/.test(cells[0] ?? ""));

test.each(rows)("a file %s in namespace %s with --env %s and annotation %s: %s", (...cells) => {
  const [path, namespace, flag, annotation, outcome] = cells.map((cell) => (cell === "" ? undefined : cell));
  const find = (): string => {
    try {
      return findEnvironment(config, { path, namespace, flag, annotation }).name;
    } catch (problem) {
      if (problem instanceof SealwardError) return problem.code;
      throw problem;
    }
  };
  expect(find()).toBe(outcome);
});

test("the table of outcomes was read", () => {
  expect(rows).toHaveLength(11);
});
