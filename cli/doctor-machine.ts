// The part of `seal doctor` about the machine: editor, a private place for plaintext, other programs, the cluster. What is run
// is found outside the work tree, with a limit of time, and changes nothing.
import { isAbsolute } from "node:path";
import { splitCommand } from "./command-line.ts";
import { type DoctorLine, fail, ok, warn } from "./doctor-line.ts";
import type { Io } from "./io.ts";
import { privateParents } from "./private-folder.ts";
import { findProgram, outputOf } from "./programs.ts";
import { findWorkTree } from "./settings.ts";

/** A program that says its version. */
const quickMs = 5000;
/** A cluster at the other end of the world. */
const clusterMs = 15_000;
/** Older ones compute another MAC for some files. */
const soundSops = [3, 13, 3] as const;

export async function machineLines(io: Io, { cluster }: { readonly cluster: boolean }): Promise<readonly DoctorLine[]> {
  return [
    await editorLine(io),
    await privateLine(io),
    ...(await sopsLines(io)),
    ...(cluster ? await clusterLines(io) : []),
  ];
}

async function editorLine(io: Io): Promise<DoctorLine> {
  const set = ["SEAL_EDITOR", "VISUAL", "EDITOR"].find((name) => (splitCommand(io.env[name] ?? "")[0] ?? "") !== "");
  const program = set === undefined ? "vi" : (splitCommand(io.env[set] ?? "")[0] ?? "");
  const isThere = isAbsolute(program)
    ? (await io.fs.kind(program)) === "file"
    : (await findProgram(io, program)) !== null;
  const whose = set === undefined ? "no variable names one, and vi" : `${program}, by ${set},`;
  return isThere
    ? ok("editor", set === undefined ? "vi, for no variable names another" : `${program}, by ${set}`)
    : warn("editor", `${whose} is not found`, "export SEAL_EDITOR=PROGRAM");
}

/** Made and removed again: a folder that exists may be one that others own. */
async function privateLine(io: Io): Promise<DoctorLine> {
  const advice = "export XDG_RUNTIME_DIR=FOLDER, one in memory that only you can enter";
  for (const { folder, isMemory } of privateParents(io)) {
    if ((await io.fs.kind(folder)) !== "folder") continue;
    const real = await io.fs.realPath(folder);
    if ((await findWorkTree(io, real)) !== null) continue;
    const made = await io.fs.privateFolder(real);
    if (made === null) continue;
    await io.fs.wipeFolder(made);
    return isMemory
      ? ok("private folder", `plaintext is edited in ${folder}, which is in memory`)
      : warn("private folder", `plaintext is edited in ${folder}, which may be on a disk`, advice);
  }
  return fail("private folder", "there is no place to edit plaintext in", advice);
}

/** Nothing where there is none: it is not needed. */
async function sopsLines(io: Io): Promise<readonly DoctorLine[]> {
  const program = await findProgram(io, "sops");
  if (program === null) return [];
  const answer = await outputOf(io, [program, "--version"], quickMs);
  const version = /^sops (\d+)\.(\d+)\.(\d+)/
    .exec(answer ?? "")
    ?.slice(1)
    .map(Number);
  if (version === undefined) return [warn("sops", `${program} does not say its version`, "install a released sops")];
  const difference = soundSops.map((wanted, index) => (version[index] ?? 0) - wanted).find((part) => part !== 0) ?? 0;
  const text = version.join(".");
  return difference < 0
    ? [
        warn(
          "sops",
          `version ${text} takes some files for changed that are not: its MAC was mended in ${soundSops.join(".")}`,
          `install sops ${soundSops.join(".")} or newer`,
        ),
      ]
    : [ok("sops", `version ${text}`)];
}

async function clusterLines(io: Io): Promise<readonly DoctorLine[]> {
  const kubectl = await findProgram(io, "kubectl");
  if (kubectl === null) return [fail("cluster", "kubectl is not on PATH", "install kubectl")];
  const ask = (...args: string[]) => outputOf(io, [kubectl, "--request-timeout=5s", ...args], clusterMs);
  const context = (await ask("config", "current-context"))?.trim() ?? "";
  if (context === "") return [fail("cluster", "kubectl has no current context", "kubectl config use-context NAME")];
  const version = /"serverVersion"[\s\S]*?"gitVersion":\s*"([^"]+)"/.exec(
    (await ask("version", "-o", "json")) ?? "",
  )?.[1];
  if (version === undefined)
    return [fail("cluster", `the cluster of the context ${context} does not answer`, "kubectl version")];
  const reached = ok("cluster", `the context ${context} reaches Kubernetes ${version}`);
  const names = await ask("get", "environments.sealward.dev", "-o", "name");
  if (names === null)
    return [
      reached,
      warn(
        "cluster",
        "its Environments cannot be listed: not installed there, or not allowed",
        "kubectl get environments.sealward.dev",
      ),
    ];
  const environments = names.split(/\r?\n/).flatMap((line) => line.split("/")[1] ?? []);
  return [
    reached,
    environments.length === 0
      ? warn("cluster", "it has no Environment yet", "seal env manifest NAME | kubectl apply -f -")
      : ok("cluster", `it has the Environments ${environments.join(", ")}`),
  ];
}
