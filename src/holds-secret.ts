// Whether a file of any format holds a Kubernetes Secret, by the values that can be read of it. Decides nothing about it.
import type { Selection } from "./selection.ts";
import { entriesOf } from "./sops-tree.ts";
import type { MapValue } from "./store.ts";

export interface ReadValue {
  readonly path: readonly string[];
  readonly bytes: Uint8Array;
}

/** Every value as it stands, encrypted or not. */
export function valuesIn(documents: readonly MapValue[]): ReadValue[] {
  const { leaves } = entriesOf(documents, matchNothing, { isEncrypted: false });
  return leaves.map(({ path, item }) => ({ path, bytes: item.bytes }));
}

export const matchNothing: Selection = { asks: "key", matches: () => false, encryptsMatches: true };

/** A Secret, or a list with one. */
export function holdsSecret(values: readonly ReadValue[]): boolean {
  return values.some(
    ({ path, bytes }) =>
      path.at(-1) === "kind" &&
      (path.length === 1 || path[0] === "items") &&
      Buffer.from(bytes).toString("latin1") === "Secret",
  );
}
