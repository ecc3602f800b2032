// The reads of the embedded API server: one object, pages of a list as of one moment, and the forms they are shown in
// (whole, or metadata only). Knows no HTTP beyond the value of the Accept header.
import type { Kind } from "./embedded-kinds.ts";
import type { JsonObject, KubeObject } from "./embedded-objects.ts";
import type { Matches } from "./embedded-selectors.ts";
import { ApiError, badRequest, expired } from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";
import { apiVersionOf } from "./embedded-writes.ts";

export type View = (object: KubeObject) => JsonObject;

export interface ListRequest {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly matches: Matches;
  readonly limit: number;
  readonly continueToken: string;
  readonly resourceVersion: string;
  /** Selectors make the number of remaining items unknown. */
  readonly selective: boolean;
  readonly metadataOnly: boolean;
}

interface Rest {
  readonly version: number;
  readonly objects: readonly KubeObject[];
}

const partialVersion = "meta.k8s.io/v1";
const maxOpenLists = 200;

export const wantsMetadataOnly = (accept: string): boolean => /;as=PartialObjectMetadata(List)?\b/.test(accept);

export function viewFor(kind: Kind, metadataOnly: boolean): View {
  if (metadataOnly) return ({ metadata }) => ({ kind: "PartialObjectMetadata", apiVersion: partialVersion, metadata });
  const apiVersion = apiVersionOf(kind);
  return (object) => ({ ...object, apiVersion, kind: kind.kind });
}

export class Lists {
  readonly #store: Store;
  // What is left of lists that were read in part: the same moment for all pages, until compaction forgets it.
  readonly #rests = new Map<string, Rest>();
  #nextToken = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  forget(): void {
    this.#rests.clear();
  }

  list(request: ListRequest): JsonObject {
    const { kind, metadataOnly, limit } = request;
    const { version, objects } = this.#start(request);
    const page = limit > 0 ? objects.slice(0, limit) : objects;
    const rest = objects.slice(page.length);
    const metadata: JsonObject = { resourceVersion: String(version) };
    if (rest.length > 0) {
      metadata["continue"] = this.#keep({ version, objects: rest });
      if (!request.selective) metadata["remainingItemCount"] = rest.length;
    }
    const view = viewFor(kind, metadataOnly);
    // The typed lists of built-in kinds do not repeat apiVersion and kind in their items.
    const bare = ({ apiVersion: _version, kind: _kind, ...content }: JsonObject): JsonObject => content;
    const items = page.map(view).map((item) => (kind.custom || metadataOnly ? item : bare(item)));
    if (metadataOnly) return { kind: "PartialObjectMetadataList", apiVersion: partialVersion, metadata, items };
    return { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items };
  }

  #start({ kind, namespace, matches, continueToken, resourceVersion }: ListRequest): Rest {
    if (continueToken === "") {
      assertNotFuture(this.#store, resourceVersion);
      return { version: this.#store.version, objects: this.#store.list(kind.storage, namespace).filter(matches) };
    }
    if (resourceVersion !== "" && resourceVersion !== "0")
      throw badRequest("specifying resource version is not allowed when using continue");
    const rest = this.#rests.get(continueToken);
    if (rest === undefined) {
      throw expired(
        "The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.",
      );
    }
    return rest;
  }

  #keep(rest: Rest): string {
    this.#nextToken += 1;
    const token = Buffer.from(JSON.stringify({ v: partialVersion, rv: rest.version, start: this.#nextToken })).toString(
      "base64url",
    );
    this.#rests.set(token, rest);
    const oldest = this.#rests.keys().next();
    if (this.#rests.size > maxOpenLists && oldest.done !== true) this.#rests.delete(oldest.value);
    return token;
  }
}

export function assertNotFuture(store: Store, resourceVersion: string): void {
  if (resourceVersion === "") return;
  if (!/^\d+$/.test(resourceVersion)) throw badRequest(`invalid resource version "${resourceVersion}"`);
  if (Number(resourceVersion) <= store.version) return;
  const message = `Too large resource version: ${resourceVersion}, current: ${store.version}`;
  throw new ApiError(504, "Timeout", message, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });
}
