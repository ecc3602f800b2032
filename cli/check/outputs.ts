// The findings of a check as text, JSON, SARIF and annotations of a workflow. File names and messages may hold anything: each
// form escapes what it would act on.
import { createHash } from "node:crypto";
import { SealwardError } from "../../src/index.ts";
import { hintsFor, safeJson, safeText } from "../report.ts";
import { version } from "../version.ts";
import { type CheckOutput, type Finding, isProblem } from "./finding.ts";

export function written(findings: readonly Finding[], output: CheckOutput): string {
  const problems = findings.filter(isProblem);
  switch (output) {
    case "json":
      return `${safeJson(findings)}\n`;
    case "sarif":
      return `${safeJson(sarif(problems))}\n`;
    case "github":
      return problems.map((finding) => `${annotation(finding)}\n`).join("");
    case "text":
      return problems.map((finding) => `${safeText(line(finding))}\n`).join("");
  }
}

function line({ file, line: row, column, code, message, status }: Finding): string {
  const place = [file, row, column].filter((part) => part !== undefined).join(":");
  return `${place}: ${status === "warning" ? "warning: " : ""}${code}: ${message}`;
}

/** What the runner of a workflow reads from a line that begins with `::`. */
function annotation({ file, line: row, column, code = "check-failed", message = "", status }: Finding): string {
  const property = (name: string, value: string | number | undefined): string[] =>
    value === undefined ? [] : [`${name}=${escaped(String(value)).replace(/:/g, "%3A").replace(/,/g, "%2C")}`];
  const properties = [
    ...property("file", file),
    ...property("line", row),
    ...property("col", column),
    ...property("title", code),
  ];
  return `::${status === "warning" ? "warning" : "error"} ${properties.join(",")}::${escaped(message)}`;
}

const escaped = (text: string): string =>
  text
    .replace(/%/g, "%25")
    .replace(/\r/g, "%0D")
    .replace(/\n/g, "%0A")
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, "?");

function sarif(problems: readonly Finding[]): object {
  const codes = [...new Set(problems.map(({ code }) => code ?? "check-failed"))].sort();
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "seal check",
            semanticVersion: version,
            rules: codes.map((code) => ({
              id: code,
              shortDescription: { text: code.replaceAll("-", " ") },
              help: { text: hintsFor(new SealwardError(code, "")).join("; ") },
            })),
          },
        },
        columnKind: "utf16CodeUnits",
        results: problems.map((finding) => result(finding, codes.indexOf(finding.code ?? "check-failed"))),
      },
    ],
  };
}

function result(
  { file, line: row, column, code = "check-failed", message = "", status }: Finding,
  ruleIndex: number,
): object {
  const region =
    row === undefined ? {} : { region: { startLine: row, ...(column === undefined ? {} : { startColumn: column }) } };
  return {
    ruleId: code,
    ruleIndex,
    level: status === "warning" ? "warning" : "error",
    message: { text: message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: encodeURI(file).replace(/[?#]/g, encodeURIComponent) },
          ...region,
        },
      },
    ],
    // The same finding on another line is the same finding.
    partialFingerprints: {
      "sealCheck/v1": createHash("sha256").update(`${code}\n${file}\n${message}`).digest("hex").slice(0, 32),
    },
  };
}
