// The manual page: everything the program can do is in it, nothing in it means something else to roff, and the tools that show
// it take it without a warning.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it, test } from "vitest";
import { nodeIo } from "../../cli/io.ts";
import { manPage } from "../../cli/man.ts";
import { createProgram } from "../../cli/program.ts";
import { referenceOf } from "../../cli/reference.ts";
import { version } from "../../cli/version.ts";

const table = referenceOf(createProgram(nodeIo(process), () => undefined));
const page = manPage(table, readFileSync("docs/cli.md", "utf8"), version);
/** As a reader sees it, near enough: without macros and escapes. */
const shown = page
  .replace(/^\.(?:SS|SH|B|TP|PP|RS|RE|nf|fi|br|IP|TH)\b ?/gm, "")
  .replace(/\\f[BR]/g, "")
  .replace(/\\-/g, "-")
  .replace(/\\e/g, "\\");

test.each(table.slice(1).map((command) => [command.path.join(" "), command] as const))(
  "`seal %s` is there with its flags, its example and its prose",
  (name, { summary, options, example }) => {
    const start = page.indexOf(`\n.SS seal ${name.replaceAll("-", "\\-")} `);
    expect(start).toBeGreaterThan(0);
    expect(shown.toLowerCase()).toContain(summary.slice(0, 30).toLowerCase());
    for (const { flags } of options) expect(shown).toContain(flags);
    expect(example).not.toBe("");
    expect(shown).toContain(example.split("\n")[0]?.trim());
  },
);

test("it has the exit codes and the variables of docs/cli.md, as rows and not as Markdown", () => {
  expect(page).toMatch(/^\.TH SEAL 1 /);
  expect(page).toContain(".TP\n130\ncancelled\n");
  expect(page).toMatch(/\.TP\n\\fBNO_COLOR\\fR/);
  expect(page).not.toMatch(/^\||^#|\]\(|^```/m);
});

test("no line of text begins with what roff takes for a request, and all is ASCII", () => {
  const known = /^\.(?:TH|SH|SS|B|TP|PP|RS|RE|nf|fi|br|IP)(?: |$)/;
  for (const line of page.split("\n")) if (/^[.']/.test(line)) expect(line).toMatch(known);
  expect(page).toMatch(/^[\n -~]*$/);
  const odd = manPage(
    [{ path: [], summary: ".so /etc/passwd", usage: "", arguments: [], options: [], example: "" }],
    "'x\n\n.y \\n(.z",
    "1",
  );
  expect(odd).not.toMatch(/^(?:'x|\.so|\.y)/m);
  expect(odd).toContain("\\en(.z");
});

const has = (tool: string): boolean => spawnSync(tool, ["--version"]).error === undefined;

describe("what shows it", () => {
  it.skipIf(!has("groff"))("groff has nothing to say about it", () => {
    const { status, stderr } = spawnSync("groff", ["-man", "-ww", "-z"], { input: page, encoding: "utf8" });
    expect([status, stderr]).toEqual([0, ""]);
  });

  it.skipIf(!has("mandoc"))("mandoc finds no error in it", () => {
    expect(spawnSync("mandoc", ["-Tlint", "-Werror"], { input: page }).status).toBe(0);
  });

  it.skipIf(!has("man") || !has("groff"))("man shows the page that was built", () => {
    const env = { ...process.env, MANWIDTH: "100", LC_ALL: "C.UTF-8", MANPAGER: "cat" };
    const { status, stdout } = spawnSync("man", ["-l", "dist/seal.1"], { env, encoding: "utf8" });
    expect(status).toBe(0);
    expect(stdout).toContain("EXIT CODES");
    expect(stdout).toMatch(/seal status \[options\] \[paths\.\.\.\]/);
  });
});
