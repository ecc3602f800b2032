// Watches of the embedded API server: one chunked response each, a JSON line per event, from a resourceVersion on, with
// bookmarks, until its time is up. Knows no permissions; it is told what to watch.
import type { ServerResponse } from "node:http";
import type { Kind } from "./embedded-kinds.ts";
import type { JsonObject, KubeObject } from "./embedded-objects.ts";
import type { View } from "./embedded-reads.ts";
import type { Matches } from "./embedded-selectors.ts";
import { type ApiError, expired } from "./embedded-status.ts";
import type { Change, Store } from "./embedded-store.ts";

export interface WatchRequest {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly matches: Matches;
  readonly view: View;
  readonly bookmark: JsonObject;
  readonly resourceVersion: string;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

const bookmarkEveryMs = 1000;

type Said = readonly [type: string, object: KubeObject] | undefined;

/** What a watcher with this selector hears of a change: entering and leaving the selection are ADDED and DELETED. */
function eventOf(change: Change, covers: Matches): Said {
  const { object, previous, removed } = change;
  const before = previous !== undefined && covers(previous);
  if (object !== undefined && covers(object)) return [before ? "MODIFIED" : "ADDED", object];
  if (!before) return undefined;
  if (removed !== undefined) return ["DELETED", removed];
  return ["DELETED", { ...previous, metadata: { ...previous.metadata, resourceVersion: String(change.version) } }];
}

/** The 410 of a watch that asks for forgotten history, or undefined. */
export function goneError(store: Store, { kind, resourceVersion }: WatchRequest): ApiError | undefined {
  if (resourceVersion === "" || resourceVersion === "0") return undefined;
  if (store.since(kind.storage, Number(resourceVersion)) !== undefined) return undefined;
  return expired(`too old resource version: ${resourceVersion} (${store.compacted})`);
}

/** Answers with a watch. Returns what ends it; it also ends by itself, by time or when the client goes. */
export function serveWatch(response: ServerResponse, store: Store, request: WatchRequest): () => void {
  const { kind, namespace, matches, view, resourceVersion } = request;
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const send = (type: string, object: JsonObject): void => {
    response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const gone = goneError(store, request);
  if (gone !== undefined) {
    send("ERROR", gone.toStatus());
    response.end();
    return () => undefined;
  }
  const covers: Matches = (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) && matches(object);
  const hear = (change: Change): void => {
    if (change.storage !== kind.storage) return;
    const event = eventOf(change, covers);
    if (event !== undefined) send(event[0], view(event[1]));
  };

  if (resourceVersion === "" || resourceVersion === "0") {
    for (const object of store.list(kind.storage, namespace)) if (matches(object)) send("ADDED", view(object));
  } else for (const change of store.since(kind.storage, Number(resourceVersion)) ?? []) hear(change);

  const unsubscribe = store.subscribe(hear);
  const sendBookmark = (): void => {
    send("BOOKMARK", {
      ...request.bookmark,
      metadata: { resourceVersion: String(store.version), creationTimestamp: null },
    });
  };
  const bookmarks = request.bookmarks ? setInterval(sendBookmark, bookmarkEveryMs) : undefined;
  const timeout = setTimeout(() => end(), request.timeoutSeconds * 1000);
  const end = (): void => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
    response.end();
  };
  response.on("close", end);
  return end;
}
