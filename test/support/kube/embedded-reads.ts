// The lists of the embedded API server: pages as of one moment, and the forms objects are shown in (whole, or metadata
// only). Knows no HTTP beyond the value of the Accept header.
import type { Kind } from "./embedded-kinds.ts";
import type { JsonObject, KubeObject } from "./embedded-objects.ts";
import type { Matches } from "./embedded-selectors.ts";
import { ApiError, badRequest, expired } from "./embedded-status.ts";
import type { Store } from "./embedded-store.ts";

export type View = (object: KubeObject) => JsonObject;

export interface ListRequest {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly matches: Matches;
  /** 0: no limit. */
  readonly limit: number;
  /** "" for the first page. */
  readonly continueToken: string;
  /** Selectors make the number of remaining items unknown. */
  readonly selective: boolean;
  readonly metadataOnly: boolean;
}

interface Rest {
  readonly version: number;
  readonly objects: readonly KubeObject[];
}

const partial = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" };
const maxOpenLists = 200;

export const wantsMetadataOnly = (accept = ""): boolean => /;as=PartialObjectMetadata(List)?\b/.test(accept);

/** What an object is shown as; of nothing but metadata when only that is wanted. */
export function viewFor({ kind, apiVersion }: Kind, metadataOnly: boolean): View {
  return metadataOnly ? ({ metadata }) => ({ ...partial, metadata }) : (object) => ({ ...object, apiVersion, kind });
}

export class Lists {
  readonly #store: Store;
  // What is left of lists that were read in part: the same moment for all pages, until compaction forgets it.
  readonly #rests = new Map<string, Rest>();
  #started = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  forget(): void {
    this.#rests.clear();
  }

  list(request: ListRequest): JsonObject {
    const { kind, metadataOnly, limit, selective } = request;
    const { version, objects } = this.#start(request);
    const page = limit > 0 ? objects.slice(0, limit) : objects;
    const rest = objects.slice(page.length);
    const more = rest.length === 0 ? {} : { continue: this.#keep({ version, objects: rest }) };
    const remaining = rest.length === 0 || selective ? {} : { remainingItemCount: rest.length };
    const view = viewFor(kind, metadataOnly);
    // The typed lists of built-in kinds do not repeat apiVersion and kind in their items.
    const bare = ({ apiVersion: _version, kind: _kind, ...content }: KubeObject): JsonObject => content;
    const shown = metadataOnly ? partial : kind;
    return {
      kind: `${shown.kind}List`,
      apiVersion: shown.apiVersion,
      metadata: { resourceVersion: String(version), ...more, ...remaining },
      items: page.map(kind.custom || metadataOnly ? view : bare),
    };
  }

  #start({ kind, namespace, matches, continueToken }: ListRequest): Rest {
    if (continueToken === "") {
      return { version: this.#store.version, objects: this.#store.list(kind.storage, namespace).filter(matches) };
    }
    if (!/^\d+-\d+$/.test(continueToken)) throw badRequest("continue key is not valid");
    const rest = this.#rests.get(continueToken);
    if (rest === undefined)
      throw expired("The provided continue parameter is too old to display a consistent list result.");
    return rest;
  }

  #keep(rest: Rest): string {
    this.#started += 1;
    const token = `${rest.version}-${this.#started}`;
    this.#rests.set(token, rest);
    for (const oldest of [...this.#rests.keys()].slice(0, -maxOpenLists)) this.#rests.delete(oldest);
    return token;
  }
}

export function assertNotFuture(store: Store, resourceVersion: string): void {
  if (!/^\d*$/.test(resourceVersion)) throw badRequest(`invalid resource version "${resourceVersion}"`);
  if (Number(resourceVersion) <= store.version) return;
  const message = `Too large resource version: ${resourceVersion}, current: ${store.version}`;
  throw new ApiError(504, "Timeout", message, { causes: [{ reason: "ResourceVersionTooLarge", message }] });
}
