import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClusterError } from "../../controller/cluster-error.ts";
import { createKubeClient, type KubeClient, type WatchEvent } from "../../controller/kube-client.ts";
import { type KubeAccess, loadKubeAccess } from "../../controller/kube-config.ts";
import { ListWatch, type ListWatchOptions } from "../../controller/list-watch.ts";
import { createLog } from "../../controller/log.ts";
import type { KubeObject } from "../../controller/resources.ts";
import { availableClusters, type TestCluster } from "../support/kube/cluster.ts";
import { FakeClock, turns } from "./fake-clock.ts";
import { wallClock } from "./stage.ts";

const object = (name: string, resourceVersion: string): KubeObject => ({
  metadata: { name, uid: name, resourceVersion },
});
const gone = new ClusterError("gone", "gone");
const unreachable = new ClusterError("unreachable", "reset");

/** An API server that follows a script: what each LIST and each WATCH in turn gives before it ends. */
class Script implements Pick<KubeClient, "list" | "watch"> {
  readonly calls: string[] = [];
  readonly #lists: (readonly KubeObject[] | Error)[];
  readonly #watches: (readonly WatchEvent[] | Error)[];

  constructor(lists: (readonly KubeObject[] | Error)[], watches: (readonly WatchEvent[] | Error)[]) {
    this.#lists = lists;
    this.#watches = watches;
  }

  async list<T>(): Promise<{ items: readonly T[]; resourceVersion: string; continue: string }> {
    this.calls.push("LIST");
    const next = this.#lists.length > 1 ? this.#lists.shift() : this.#lists[0];
    if (next instanceof Error) throw next;
    return { items: (next ?? []) as unknown as readonly T[], resourceVersion: "100", continue: "" };
  }

  async *watch(_: string, query: Readonly<Record<string, string>>): AsyncGenerator<WatchEvent> {
    this.calls.push(`WATCH ${query["resourceVersion"]}`);
    const next = this.#watches.length > 1 ? this.#watches.shift() : this.#watches[0];
    if (next instanceof Error) throw next;
    yield* next ?? [];
  }
}

interface Scene {
  readonly clock: FakeClock;
  readonly script: Script;
  readonly changes: string[];
  readonly stop: () => void;
}

function play(lists: (readonly KubeObject[] | Error)[], watches: (readonly WatchEvent[] | Error)[]): Scene {
  const script = new Script(lists, watches);
  const clock = new FakeClock();
  const changes: string[] = [];
  const ending = new AbortController();
  const watch = new ListWatch<KubeObject>({
    client: script as unknown as KubeClient,
    path: "/apis/x/things",
    metadataOnly: true,
    trim: (one) => one,
    onChange: (now, before) => changes.push(`${before?.metadata.name ?? "-"}→${now?.metadata.name ?? "-"}`),
    clock,
    log: createLog(
      () => undefined,
      () => 0,
    ),
    random: () => 1,
  });
  void watch.run(ending.signal);
  return { clock, script, changes, stop: () => ending.abort() };
}

describe("list-watch", () => {
  it("backs off when every watch ends with 410, instead of listing in a loop", async () => {
    const { clock, script, stop } = play([[object("a", "1")]], [gone]);
    await clock.advance(8000);
    expect(script.calls.filter((call) => call === "LIST").length).toBeLessThanOrEqual(6);
    const soFar = script.calls.length;
    await clock.advance(600_000);
    // Once a 30-second back-off is reached: two calls, LIST and WATCH, each time.
    expect(script.calls.length - soFar).toBeLessThanOrEqual(2 * 24);
    stop();
  });

  it("resumes a broken watch from the last version, without listing again", async () => {
    const event: WatchEvent = { type: "ADDED", object: object("b", "107") };
    const bookmark: WatchEvent = { type: "BOOKMARK", object: { metadata: { resourceVersion: "120" } } };
    const { clock, script, changes, stop } = play([[object("a", "1")]], [[event], unreachable, [bookmark], []]);
    await clock.advance(1500);
    expect(script.calls.slice(0, 5)).toEqual(["LIST", "WATCH 100", "WATCH 107", "WATCH 107", "WATCH 120"]);
    expect(changes).toEqual(["-→a", "-→b"]);
    stop();
  });

  it("takes an ERROR event for what it says: 410 lists again, and shows only the differences", async () => {
    const expired: WatchEvent = { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired" } };
    const { clock, script, changes, stop } = play(
      [
        [object("a", "1"), object("b", "2")],
        [object("b", "2"), object("c", "3")],
      ],
      [[expired], []],
    );
    await clock.advance(400);
    expect(script.calls.filter((call) => call === "LIST")).toHaveLength(2);
    expect(changes).toEqual(["-→a", "-→b", "a→-", "-→c"]);
    stop();
  });

  it("backs off from a server that ends every watch at once, and starts over with a list after a while", async () => {
    const { clock, script, stop } = play([[]], [[]]);
    await clock.advance(10_000);
    expect(script.calls.length).toBeLessThanOrEqual(9);
    expect(script.calls.filter((call) => call === "LIST")).toHaveLength(2);
    stop();
  });

  it("tries a failing list for ever, and waits as long as a throttling server asks", async () => {
    const throttled = new ClusterError("throttled", "429", { retryAfterMs: 20_000 });
    const { clock, script, changes, stop } = play([throttled, [object("a", "1")]], [[]]);
    await clock.advance(19_999);
    expect(script.calls).toEqual(["LIST"]);
    await clock.advance(1);
    expect(changes).toEqual(["-→a"]);
    stop();
  });

  it("stops when told to, also in the middle of a back-off", async () => {
    const { clock, script, stop } = play([unreachable], [[]]);
    await turns();
    stop();
    await clock.advance(600_000);
    expect(script.calls).toEqual(["LIST"]);
  });
});

describe.each(availableClusters())("list-watch on the $name API server", ({ start }) => {
  let cluster: TestCluster;
  let access: KubeAccess;
  const ending = new AbortController();
  const log: string[] = [];

  beforeAll(async () => {
    cluster = await start();
    access = await loadKubeAccess({ kubeconfig: cluster.adminKubeconfig, inCluster: false, now: Date.now });
  });

  afterAll(async () => {
    ending.abort();
    access?.close();
    await cluster?.stop();
  });

  const put = (name: string, value: string) =>
    cluster.apply(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name, namespace: "watched", labels: { value } },
        data: { A: "YQ==" },
      }),
    );

  it("keeps a copy through pages, changes, a restart, forgotten history and deletions, and holds metadata only", async () => {
    await cluster.apply(JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "watched" } }));
    for (const name of ["a", "b", "c", "d", "e"]) await put(name, "1");
    const options: ListWatchOptions<KubeObject> = {
      client: createKubeClient(access),
      path: "/api/v1/namespaces/watched/secrets",
      metadataOnly: true,
      trim: (one) => one,
      onChange: () => undefined,
      clock: wallClock,
      log: createLog((line) => log.push(line), Date.now),
      pageSize: 2,
    };
    const watch = new ListWatch<KubeObject>(options);
    const running = watch.run(ending.signal);
    await watch.synced;
    const names = (): string[] =>
      [...watch.objects.values()].map(({ metadata }) => metadata.name).filter((name) => name.length === 1);
    expect(names().sort()).toEqual(["a", "b", "c", "d", "e"]);
    expect(JSON.stringify([...watch.objects.values()])).not.toContain("YQ==");

    const until = (what: string, holds: () => boolean) => cluster.waitFor(what, async () => holds() || undefined);
    const labelOf = (name: string) => watch.objects.get(`watched/${name}`)?.metadata.labels?.["value"];
    await put("a", "2");
    await until("a change", () => labelOf("a") === "2");
    await cluster.restart();
    await put("a", "3");
    await until("a change after the restart", () => labelOf("a") === "3");
    await cluster.compact();
    await put("a", "4");
    await cluster.request("DELETE", "/api/v1/namespaces/watched/secrets/b");
    await until("a change after the compaction", () => labelOf("a") === "4" && labelOf("b") === undefined);
    ending.abort();
    await running;
    for (const line of log) expect(Object.keys(JSON.parse(line) as object)).not.toContain("stack");
  });
});
