/** What the exporter says about a model: `model.json`, written by `gazeheads export web`. */

import { requestJson } from "./answers";
import { EngineError, type ModelInfo } from "./engine";

export interface StoredFile {
  name: string;
  bytes: number;
  /**
   * The first digits of the SHA-256 of the contents; part of the address, so that a cache never
   * serves an older model, and compared with what arrives. Absent: only the length is compared.
   */
  hash?: string;
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
  const found = (await requestJson(url, { cache: "no-cache" })) as Partial<Description> | null;
  if (found?.kind !== KIND) throw new EngineError(`${url} does not describe an exported model`);
  const { info, files, graph, picture, prompt } = found;
  const known = files?.length && files.every(({ name, bytes }) => name && Number.isInteger(bytes));
  if (!info || !known || !graph || !picture || !prompt) {
    throw new EngineError(`${url} leaves out what the page needs: export the model again`);
  }
  return found as Description;
}
