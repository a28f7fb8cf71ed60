/** From regions and heads to the two small inputs that steer the decoder graph. */

import { type Box, EngineError, type Head, type Region } from "./engine";

/**
 * Distance between target, text and the rest of the image when only the target counts: a softmax
 * gives what is so far below exactly nothing, and half precision still holds twice as much.
 */
const FAR = 20_000;

/** Where the image's tokens are. */
export interface Layout {
  width: number;
  height: number;
  rows: number;
  columns: number;
  panels: Box[];
  /** Place of the first image token in the sequence. */
  first: number;
}

/** Which image tokens have their centre inside a region. */
export function inside(region: Region, layout: Layout): boolean[] {
  const [x0, y0, x1, y1] = boxOf(region, layout);
  const found: boolean[] = [];
  for (let row = 0; row < layout.rows; row++) {
    const y = ((row + 0.5) * layout.height) / layout.rows;
    for (let column = 0; column < layout.columns; column++) {
      const x = ((column + 0.5) * layout.width) / layout.columns;
      found.push(x >= x0 && x < x1 && y >= y0 && y < y1);
    }
  }
  if (!found.includes(true)) {
    throw new EngineError("the region covers no image token; it may be too small");
  }
  return found;
}

function boxOf(region: Region, layout: Layout): Box {
  if ("box" in region) return region.box;
  const box = layout.panels[region.panel - 1];
  if (!box) {
    throw new EngineError(`no panel ${region.panel}: there are panels 1 to ${layout.panels.length}`);
  }
  return box;
}

/** What a steered head's scores get, for each of `keys` tokens; only differences count. */
export function keyBias(
  region: Region | null,
  layout: Layout,
  keys: number,
  delta: number,
): Float32Array {
  const bias = new Float32Array(keys);
  if (!region) return bias;
  const [target, text, rest] = delta === Infinity ? [0, -FAR, -2 * FAR] : [delta, 0, -delta];
  bias.fill(text);
  inside(region, layout).forEach((own, i) => {
    bias[layout.first + i] = own ? target : rest;
  });
  return bias;
}

/** (layers x heads) with `value` at the named heads. */
export function headTable(
  named: Head[],
  layers: number,
  heads: number,
  value: number,
): Float32Array {
  const table = new Float32Array(layers * heads);
  for (const [layer, head] of named) {
    if (!(layer >= 0 && layer < layers && head >= 0 && head < heads)) {
      throw new EngineError(`head ${layer}.${head} does not exist: ${layers} layers x ${heads} heads`);
    }
    table[layer * heads + head] = value;
  }
  return table;
}
