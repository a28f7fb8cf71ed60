/**
 * Fetching a model's files once: later visits find them in the browser's cache. A cache is a
 * convenience: what it refuses is fetched, what it has spoilt is forgotten and fetched again.
 */

import { aPageInstead, isPage, nameOf, request } from "./answers";
import type { StoredFile } from "./description";
import { EngineError } from "./engine";

const CACHE = "gazeheads-models";

type Bytes = Uint8Array<ArrayBuffer>;

/** Told how much of a file is there. */
export type OnBytes = (name: string, filled: number) => void;

export interface Fetched {
  /** By name. */
  contents: Map<string, Bytes>;
  /** Whether a file could be compared by its length only, and may be another than described. */
  doubtful: boolean;
}

/**
 * Contents of a model's files; cached files of that folder that are no longer named are forgotten.
 * @param fresh every file comes from the server, past any copy on the way.
 * @throws EngineError if a file cannot be had as the description says.
 */
export async function fetchAll(
  folder: string,
  files: StoredFile[],
  onBytes: OnBytes,
  fresh = false,
): Promise<Fetched> {
  const cache = await openCache();
  const contents = new Map<string, Bytes>();
  const current = new Set<string>();
  let doubtful = false;
  for (const file of files) {
    const url = new URL(file.hash ? `${file.name}?${file.hash}` : file.name, folder).href;
    current.add(url);
    doubtful ||= !canHash(file);
    const kept = fresh ? null : await fromCache(cache, url, file, onBytes);
    const data = kept ?? (await fromServer(url, file, onBytes, fresh));
    if (!kept) await quietly(() => cache?.put(url, new Response(data)));
    contents.set(file.name, data);
  }
  for (const { url } of (await quietly(() => cache?.keys())) ?? []) {
    if (url.startsWith(folder) && !current.has(url)) await quietly(() => cache?.delete(url));
  }
  return { contents, doubtful };
}

/** The browser's cache; null where there is none: without HTTPS, in some private windows. */
async function openCache(): Promise<Cache | null> {
  try {
    return (await caches.open(CACHE)) ?? null;
  } catch {
    return null;
  }
}

/** What a cache gave; undefined if it refused, as a full disk or a private window may make it. */
async function quietly<T>(ask: () => Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await ask();
  } catch {
    return undefined;
  }
}

/** A file from the cache, which forgets it if it is not the one described. */
async function fromCache(
  cache: Cache | null,
  url: string,
  file: StoredFile,
  onBytes: OnBytes,
): Promise<Bytes | null> {
  const kept = await quietly(() => cache?.match(url));
  if (!kept) return null;
  const { data, wrong } = await read(kept, file, onBytes);
  if (!wrong) return data;
  await quietly(() => cache?.delete(url));
  return null;
}

/** A file from the server; if it is spoilt, once more, past any copy on the way. */
async function fromServer(
  url: string,
  file: StoredFile,
  onBytes: OnBytes,
  fresh: boolean,
): Promise<Bytes> {
  let last = "";
  for (const cache of [fresh ? "reload" : "default", "reload"] as const) {
    const answer = await request(url, { cache });
    const { data, wrong } = await read(answer, file, onBytes);
    if (!wrong) return data;
    const start = new TextDecoder().decode(data.subarray(0, 64));
    if (isPage(answer, start)) throw aPageInstead(url);
    last = wrong;
  }
  throw new EngineError(
    `${nameOf(url)} ${last}: reload the page; if that does not help, ` +
      "the exported model on the server is damaged and must be copied there again",
  );
}

/** The body of an answer, and what is wrong with it ("" if nothing). */
async function read(
  answer: Response,
  file: StoredFile,
  onBytes: OnBytes,
): Promise<{ data: Bytes; wrong: string }> {
  const data = new Uint8Array(file.bytes);
  let filled = 0;
  onBytes(file.name, 0);
  const reader = answer.body?.getReader();
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      const { value } = part;
      data.set(value.subarray(0, data.length - filled), filled);
      filled += value.length;
      if (filled > data.length) {
        void reader?.cancel().catch(() => undefined);
        return { data, wrong: `is longer than the ${file.bytes} bytes that model.json says` };
      }
      onBytes(file.name, filled);
    }
  } catch {
    // the connection broke, or the cache lost the body: what is missing is counted below
  }
  if (filled < data.length) {
    return { data, wrong: `arrived incomplete, ${filled} of ${file.bytes} bytes` };
  }
  const same = !canHash(file) || (await hashOf(data)).startsWith(file.hash);
  return { data, wrong: same ? "" : "has other contents than model.json says" };
}

/** Whether contents can be compared with the description; pages without HTTPS cannot. */
function canHash(file: StoredFile): file is StoredFile & { hash: string } {
  return Boolean(file.hash) && Boolean(globalThis.crypto?.subtle);
}

async function hashOf(data: Bytes): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
