// The manual page seal(1), made from the command table and the prose of docs/cli.md when the program is built: neither is written
// twice. Knows roff and the little Markdown that the page has.
import type { CommandReference, OptionReference } from "./reference.ts";

/** `page`: the text of docs/cli.md. */
export function manPage(table: readonly CommandReference[], page: string, version: string): string {
  const [program, ...commands] = table;
  const lines = [
    `.TH SEAL 1 "" "sealward ${version}" "Sealward"`,
    ".SH NAME",
    `seal \\- ${text(program?.summary ?? "")}`,
    ".SH SYNOPSIS",
    ...commands.filter(hasAction).map(({ path, usage }) => `.B seal ${text(path.join(" "))}\n${text(usage)}\n.br`),
    ".SH DESCRIPTION",
    ...prose(introductionOf(page)),
    ".SH OPTIONS",
    ...optionLines(program?.options ?? []),
    ".SH COMMANDS",
    ...commands.flatMap((command) => commandLines(command, page)),
    ...["Exit codes", "Identities", "Environment variables"].flatMap((title) => [
      `.SH ${title.toUpperCase()}`,
      ...prose(sectionOf(page, title)),
    ]),
    ".SH EXAMPLES",
    ...verbatim(program?.example.split("\n\n")[0] ?? ""),
  ];
  return `${lines.join("\n")}\n`;
}

/** A group such as `seal env` only has commands. */
const hasAction = ({ usage }: CommandReference): boolean => !usage.endsWith("[command]");

function commandLines({ path, usage, summary, options, example }: CommandReference, page: string): string[] {
  const name = ["seal", ...path].join(" ");
  return [
    `.SS ${text(name)} ${text(usage)}`,
    `${text(summary.charAt(0).toUpperCase() + summary.slice(1))}.`,
    ...prose(sectionOf(page, name).split("```text")[0] ?? ""),
    ...optionLines(options),
    ...(example === "" ? [] : [".PP", "Example:", ...verbatim(example)]),
  ];
}

const optionLines = (options: readonly OptionReference[]): string[] =>
  options.flatMap(({ flags, description, choices }) => [
    ".TP",
    `.B ${text(flags)}`,
    text(choices.length === 0 ? description : `${description} (${choices.join(", ")})`),
  ]);

const introductionOf = (page: string): string => page.slice(page.indexOf("\n") + 1).split(/^## /m)[0] ?? "";

/** What stands under a heading of the second level; empty where there is none. */
function sectionOf(page: string, title: string): string {
  const start = page.indexOf(`\n## ${title}\n`);
  if (start < 0) return "";
  const body = page.slice(start + title.length + 5);
  return body.split(/^## /m)[0] ?? "";
}

/** Paragraphs, lists, tables and fenced blocks. */
function prose(markdown: string): string[] {
  return markdown
    .split(/(^```[\s\S]*?^```$)/m)
    .flatMap((part) =>
      part.startsWith("```")
        ? verbatim(part.split("\n").slice(1, -1).join("\n"))
        : part.split(/\n\s*\n/).flatMap(block),
    );
}

function block(paragraph: string): string[] {
  const lines = paragraph.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0) return [];
  if (lines[0]?.startsWith("|")) return lines.slice(2).flatMap(row);
  const items = lines.join("\n").split(/^- /m);
  const list = items.slice(1).flatMap((item) => [".IP \\(bu 2", inline(item)]);
  return [...(items[0] === "" ? [] : [".PP", inline(items[0] ?? "")]), ...list];
}

function row(line: string): string[] {
  const [name = "", ...cells] = line
    .split("|")
    .map((cell) => cell.trim())
    .slice(1, -1);
  return [".TP", inline(name), inline(cells.filter((cell) => cell !== "").join("; "))];
}

const verbatim = (code: string): string[] => [".PP", ".nf", ".RS 2", ...code.split("\n").map(text), ".RE", ".fi"];

/** One line: links are their text, code and stress are bold. */
const inline = (markdown: string): string =>
  text(markdown.replace(/\s*\n\s*/g, " ").replace(/\[([^\]]+)\]\([^)]*\)/g, "$1"))
    .replace(/`([^`]+)`/g, "\\fB$1\\fR")
    .replace(/\*\*([^*]+)\*\*/g, "\\fB$1\\fR");

/** Nothing in it means anything to roff. */
const text = (plain: string): string =>
  plain
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1")
    .replace(
      /[^\n -~]/gu,
      (other) => `\\[u${(other.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}]`,
    );
