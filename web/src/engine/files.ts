/** Fetching a model's files once: later visits find them in the browser's cache. */

import type { StoredFile } from "./description";
import { EngineError } from "./engine";

const CACHE = "gazeheads-models";

export type OnBytes = (fresh: number) => void;

/** Contents of a model's files by name; files of that folder that are no longer named are forgotten. */
export async function fetchAll(
  folder: string,
  files: StoredFile[],
  onBytes: OnBytes,
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  // absent on pages without HTTPS, which then fetch every time
  const cache = typeof caches === "undefined" ? null : await caches.open(CACHE);
  const out = new Map<string, Uint8Array<ArrayBuffer>>();
  const current = new Set<string>();
  for (const file of files) {
    const url = new URL(`${file.name}?${file.hash}`, folder).href;
    current.add(url);
    out.set(file.name, await fetchOne(url, file, cache, onBytes));
  }
  for (const old of (await cache?.keys()) ?? []) {
    if (old.url.startsWith(folder) && !current.has(old.url)) await cache?.delete(old);
  }
  return out;
}

async function fetchOne(
  url: string,
  file: StoredFile,
  cache: Cache | null,
  onBytes: OnBytes,
): Promise<Uint8Array<ArrayBuffer>> {
  const kept = await cache?.match(url);
  const response = kept ?? (await fetch(url).catch(() => null));
  if (!response?.ok || !response.body) {
    throw new EngineError(`cannot fetch ${url}: ${response?.status ?? "no connection"}`);
  }
  const data = new Uint8Array(file.bytes);
  let filled = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (filled + part.value.length > data.length) filled = Infinity;
    else data.set(part.value, filled);
    filled += part.value.length;
    onBytes(part.value.length);
  }
  if (filled !== file.bytes) throw new EngineError(`${url} is not ${file.bytes} bytes long`);
  if (cache && !kept) {
    // a full disk is no reason not to show the model that was just fetched
    await cache.put(url, new Response(data)).catch(() => undefined);
  }
  return data;
}
