/** What the exporter says about a model: `model.json`, written by `gazeheads export web`. */

import { EngineError, type ModelInfo } from "./engine";

export interface StoredFile {
  name: string;
  bytes: number;
  /** Of the contents; part of the address, so that a cache never serves an older model. */
  hash: string;
}

export interface Description {
  kind: string;
  info: ModelInfo;
  provider: "wasm" | "webgpu";
  files: StoredFile[];
  graph: {
    layers: number;
    heads: number;
    keyHeads: number;
    headSize: number;
    cache: "float32" | "float16";
    /** Names of the files that hold a graph's weights, if it does not hold them itself. */
    weights: Record<string, string[]>;
    /** Bytes of the largest matrix, which a graphics card must hold in one buffer. */
    largest: number;
  };
  picture: { cell: number; leastPixels: number; mostPixels: number };
  prompt: { before: string; after: string; imageToken: number; stops: number[]; positions: number };
}

const KIND = "gazeheads-web-model";

/** Fetches the description; never from a cache, as it says which files are current. */
export async function describe(folder: string): Promise<Description> {
  const url = new URL("model.json", folder);
  let found: Partial<Description>;
  try {
    const response = await fetch(url, { cache: "no-cache" });
    if (!response.ok) throw new EngineError(`no model at ${url}: ${response.status}`);
    found = await response.json();
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError(`cannot read ${url}: ${(error as Error).message}`);
  }
  if (found.kind !== KIND) throw new EngineError(`${url} does not describe an exported model`);
  return found as Description;
}
