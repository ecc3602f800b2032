// Reads what the tests of this folder need from Markdown: files, sections, fenced blocks, links. No full parser; the pages
// are ours and keep to simple forms.
import { readdirSync } from "node:fs";
import { join } from "node:path";

const skipped = new Set(["node_modules", "dist", ".git"]);

/** Every Markdown file of the repository, with "/" between the parts of its path. Hidden folders are left out. */
export function markdownFiles(folder = "."): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = folder === "." ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return skipped.has(entry.name) || entry.name.startsWith(".") ? [] : markdownFiles(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

/** The text of fenced blocks of one language, in order, each with its last line break. */
export function fencedBlocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, body]) =>
    name === language && body !== undefined ? [body] : [],
  );
}

/** The text without its fenced blocks; line numbers stay. */
export function withoutFences(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, (block) => block.replace(/[^\n]/g, ""));
}

/** What stands under a heading, up to the next one of the same or a higher level; the empty text if there is none. */
export function sectionOf(text: string, heading: string): string {
  const lines = text.split("\n");
  const start = lines.indexOf(heading);
  if (start < 0) return "";
  const level = heading.indexOf(" ");
  let inFence = false;
  for (let end = start + 1; end < lines.length; end++) {
    const line = lines[end] ?? "";
    if (line.startsWith("```")) inFence = !inFence;
    const found = inFence ? null : /^(#+) /.exec(line);
    if (found !== null && (found[1] ?? "").length <= level) return lines.slice(start + 1, end).join("\n");
  }
  return lines.slice(start + 1).join("\n");
}

/** The anchors that headings give, as Git hosts make them. */
export function anchorsOf(text: string): Set<string> {
  const headings = [...withoutFences(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replaceAll(" ", "-"),
    ),
  );
}

/** Targets of links and images, inline and by reference. */
export function linksOf(text: string): string[] {
  const prose = withoutFences(text).replace(/`[^`\n]*`/g, "``");
  const inline = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
  const byName = [...prose.matchAll(/^\[[^\]]+\]: (\S+)$/gm)].map(([, target = ""]) => target);
  return [...inline, ...byName];
}

/** Paths of this repository that are named as code. */
export function namedPaths(text: string): string[] {
  const spans = [...withoutFences(text).matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
  return spans.filter(
    (span) =>
      /^(?:src|cli|controller|test|docs|deploy|examples|bench)\/[\w./-]+\.(?:ts|mjs|md|ya?ml|json)$/.test(span) &&
      !/\.(?:sealed|plain)\.ya?ml$/.test(span),
  );
}

export function resolveFrom(file: string, target: string): string {
  return join(file, "..", target);
}
