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
  readonly matches: Matches;
  readonly view: View;
  /** 0: start with what is there. */
  readonly version: number;
  readonly bookmarks: boolean;
  readonly timeoutSeconds: number;
}

const bookmarkEveryMs = 1000;

/** What a watcher with this selector hears of a change: entering and leaving the selection are ADDED and DELETED. */
function eventOf(
  { object, previous, version, deleted }: Change,
  matches: Matches,
): [type: string, object: KubeObject] | undefined {
  const before = previous !== undefined && matches(previous);
  if (!deleted && matches(object)) return [before ? "MODIFIED" : "ADDED", object];
  if (!before) return undefined;
  // Of what left the selection, the last state that was in it.
  return ["DELETED", { ...previous, metadata: { ...previous.metadata, resourceVersion: String(version) } }];
}

/** The 410 of a watch that asks for forgotten history, or undefined. */
export function goneError(store: Store, { kind, version }: WatchRequest): ApiError | undefined {
  const isKnown = version === 0 || store.since(kind.storage, version) !== undefined;
  return isKnown ? undefined : expired(`too old resource version: ${version} (${store.compacted})`);
}

/** Answers with a watch, which ends by itself: by time, or when the client goes. */
export function serveWatch(response: ServerResponse, store: Store, request: WatchRequest): void {
  const { kind, matches, view, version } = request;
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  const send = (type: string, object: JsonObject): void => {
    response.write(`${JSON.stringify({ type, object })}\n`);
  };
  const gone = goneError(store, request);
  if (gone !== undefined) {
    send("ERROR", gone.toStatus());
    response.end();
    return;
  }
  const hear = (change: Change): void => {
    const event = change.storage === kind.storage ? eventOf(change, matches) : undefined;
    if (event !== undefined) send(event[0], view(event[1]));
  };
  if (version > 0) for (const change of store.since(kind.storage, version) ?? []) hear(change);
  else for (const object of store.list(kind.storage)) if (matches(object)) send("ADDED", view(object));

  const unsubscribe = store.subscribe(hear);
  const mark = (): void => {
    const metadata = { resourceVersion: String(store.version), creationTimestamp: null };
    const { apiVersion, kind: name } = view({
      apiVersion: "",
      kind: "",
      metadata: { name: "", uid: "", resourceVersion: "", creationTimestamp: "" },
    });
    send("BOOKMARK", { kind: name, apiVersion, metadata });
  };
  const bookmarks = request.bookmarks ? setInterval(mark, bookmarkEveryMs) : undefined;
  const timeout = setTimeout(() => response.end(), request.timeoutSeconds * 1000);
  response.on("close", () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
  });
}
