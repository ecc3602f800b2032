// The reads of the embedded API server: lists in pages as of one moment, watches from a resourceVersion on with bookmarks,
// and the forms objects are shown in (whole, or metadata only). Knows no permissions; it is told what to read.
import type { ServerResponse } from "node:http";
import type { Kind } from "./embedded-kinds.ts";
import { type JsonObject, type KubeObject, without } from "./embedded-objects.ts";
import { expired } from "./embedded-status.ts";
import type { Change, Store } from "./embedded-store.ts";

interface ListRequest {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  /** 0: no limit. */
  readonly limit: number;
  /** "" for the first page. */
  readonly continueToken: string;
  readonly accept: string | undefined;
}

interface Rest {
  readonly version: number;
  readonly objects: readonly KubeObject[];
}

const partial = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" };

const wantsMetadataOnly = (accept = ""): boolean => /;as=PartialObjectMetadata(List)?\b/.test(accept);

/** What an object is shown as; nothing but its metadata when only that is wanted. */
export function viewOf(object: KubeObject, accept: string | undefined): JsonObject {
  return wantsMetadataOnly(accept) ? { ...partial, metadata: object.metadata } : object;
}

export class Lists {
  readonly #store: Store;
  // What is left of lists that were read in part: the same moment for all pages, until compaction forgets it.
  readonly #rests = new Map<string, Rest>();
  #started = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Lists that were read in part cannot be read on. */
  forget(): void {
    this.#rests.clear();
  }

  list({ kind, namespace, limit, continueToken, accept }: ListRequest): JsonObject {
    const whole = { version: this.#store.version, objects: this.#store.list(kind.storage, namespace) };
    const { version, objects } = continueToken === "" ? whole : this.#rest(continueToken);
    const page = limit > 0 ? objects.slice(0, limit) : objects;
    const rest = { version, objects: objects.slice(page.length) };
    const more = rest.objects.length === 0 ? {} : { continue: this.#keep(rest) };
    const shown = wantsMetadataOnly(accept) ? partial : kind;
    // The typed lists of built-in kinds do not repeat apiVersion and kind in their items.
    const isBare = shown === kind && !kind.custom;
    return {
      kind: `${shown.kind}List`,
      apiVersion: shown.apiVersion,
      metadata: { resourceVersion: String(version), ...more },
      items: page.map((object) => (isBare ? without(object, "apiVersion", "kind") : viewOf(object, accept))),
    };
  }

  #rest(token: string): Rest {
    const rest = this.#rests.get(token);
    if (rest === undefined) throw expired("The continue parameter is too old to display a consistent list result.");
    return rest;
  }

  #keep(rest: Rest): string {
    this.#started += 1;
    const token = `${rest.version}-${this.#started}`;
    this.#rests.set(token, rest);
    return token;
  }
}

interface WatchRequest {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly accept: string | undefined;
  readonly version: number;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

const bookmarkEveryMs = 1000;

/** Answers with a watch, which ends by itself: by time, or when the client goes. */
export function serveWatch(response: ServerResponse, store: Store, request: WatchRequest): void {
  const { kind, namespace, accept, version } = request;
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const write = (type: string, object: JsonObject): void => {
    response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const send = (type: string, object: KubeObject): void => write(type, viewOf(object, accept));
  const past = store.since(kind.storage, version);
  if (past === undefined) {
    // The stream has begun, so a real server says it there and not by the HTTP status.
    write("ERROR", expired(`too old resource version: ${version}`).status);
    response.end();
    return;
  }
  const hear = ({ storage, type, object }: Change): void => {
    const isMeant = storage === kind.storage && (namespace === undefined || object.metadata.namespace === namespace);
    if (isMeant) send(type, object);
  };
  for (const change of past) hear(change);

  const unsubscribe = store.subscribe(hear);
  const mark = (): void => {
    const metadata = { name: "", uid: "", creationTimestamp: "", resourceVersion: String(store.version) };
    send("BOOKMARK", { apiVersion: kind.apiVersion, kind: kind.kind, metadata });
  };
  const bookmarks = request.bookmarks ? setInterval(mark, bookmarkEveryMs) : undefined;
  const timeout = setTimeout(() => response.end(), request.timeoutSeconds * 1000);
  response.on("close", () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
  });
}
