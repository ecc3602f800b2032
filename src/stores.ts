// Which store a file belongs to, by its name, as SOPS decides it.
import { binaryStore } from "./binary-store.ts";
import { dotenvStore } from "./dotenv-store.ts";
import { iniStore } from "./ini-store.ts";
import { jsonStore } from "./json-store.ts";
import type { Store, StoreName } from "./store.ts";
import { yamlStore } from "./yaml-store.ts";

const stores: Readonly<Record<StoreName, Store>> = {
  yaml: yamlStore,
  json: jsonStore,
  dotenv: dotenvStore,
  ini: iniStore,
  binary: binaryStore,
};

export const storeNames: readonly StoreName[] = ["yaml", "json", "dotenv", "ini", "binary"];

export function storeNamed(name: StoreName): Store {
  return stores[name];
}

/** By the end of the name; whatever has no other store is binary. */
export function storeOf(file: string): StoreName {
  if (/\.ya?ml$/.test(file)) return "yaml";
  if (file.endsWith(".json")) return "json";
  if (file.endsWith(".env")) return "dotenv";
  return file.endsWith(".ini") ? "ini" : "binary";
}
