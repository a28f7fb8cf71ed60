/** From an image to the grid of cells the model sees, stretched as the model's image processor does. */

import type { Description } from "./description";
import { EngineError } from "./engine";

/** Pixels of a canvas or the like; RGBA. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

const MOST_LOPSIDED = 200;

/** Rows and columns of image tokens: proportions kept as far as whole cells allow. */
export function gridOf(
  width: number,
  height: number,
  rules: Description["picture"],
): [rows: number, columns: number] {
  const { cell, leastPixels, mostPixels } = rules;
  if (!(width > 0 && height > 0)) throw new EngineError(`an image of ${width} x ${height} pixels`);
  if (Math.max(width, height) / Math.min(width, height) > MOST_LOPSIDED) {
    throw new EngineError(`an image of ${width} x ${height} pixels is too long and thin`);
  }
  let rows = roundHalfEven(height / cell);
  let columns = roundHalfEven(width / cell);
  const pixels = rows * columns * cell * cell;
  if (pixels > mostPixels) {
    const shrink = Math.sqrt((width * height) / mostPixels);
    rows = Math.max(1, Math.floor(height / shrink / cell));
    columns = Math.max(1, Math.floor(width / shrink / cell));
  } else if (pixels < leastPixels) {
    const grow = Math.sqrt(leastPixels / (width * height));
    rows = Math.ceil((height * grow) / cell);
    columns = Math.ceil((width * grow) / cell);
  }
  return [rows, columns];
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * Stretches an image with an antialiasing bicubic filter, transparent parts over white. Browsers
 * differ in how a canvas does this, and the model notices.
 */
export function stretch(image: Pixels, width: number, height: number): Uint8Array {
  const wide = across(opaque(image), image.width, image.height, width);
  return across(transpose(wide, width, image.height), image.height, width, height, true);
}

function opaque(image: Pixels): Uint8Array {
  const out = new Uint8Array(image.data);
  for (let at = 0; at < out.length; at += 4) {
    const alpha = out[at + 3] / 255;
    if (alpha === 1) continue;
    for (let c = 0; c < 3; c++) out[at + c] = Math.round(out[at + c] * alpha + 255 * (1 - alpha));
    out[at + 3] = 255;
  }
  return out;
}

function transpose(data: Uint8Array, width: number, height: number): Uint8Array {
  const from = new Uint32Array(data.buffer, data.byteOffset, width * height);
  const to = new Uint32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) to[x * height + y] = from[y * width + x];
  }
  return new Uint8Array(to.buffer);
}

/** Stretches every row from `from` to `to` pixels; `turned` gives the transposed image back. */
function across(
  data: Uint8Array,
  from: number,
  rows: number,
  to: number,
  turned = false,
): Uint8Array {
  const taps = filters(from, to);
  const out = new Uint8ClampedArray(rows * to * 4);
  for (let row = 0; row < rows; row++) {
    for (let x = 0; x < to; x++) {
      const { first, weights } = taps[x];
      let [r, g, b] = [0, 0, 0];
      for (let tap = 0, at = (row * from + first) * 4; tap < weights.length; tap++, at += 4) {
        r += data[at] * weights[tap];
        g += data[at + 1] * weights[tap];
        b += data[at + 2] * weights[tap];
      }
      const at = (turned ? x * rows + row : row * to + x) * 4;
      out[at] = r;
      out[at + 1] = g;
      out[at + 2] = b;
      out[at + 3] = 255;
    }
  }
  return new Uint8Array(out.buffer);
}

/** For each output pixel, the first input pixel it reads and the weights from there on. */
function filters(from: number, to: number): { first: number; weights: Float64Array }[] {
  const scale = from / to;
  const stretched = Math.max(scale, 1);
  return Array.from({ length: to }, (_, x) => {
    const centre = (x + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - 2 * stretched + 0.5));
    const last = Math.min(from, Math.floor(centre + 2 * stretched + 0.5));
    const weights = new Float64Array(last - first);
    let sum = 0;
    for (let i = 0; i < weights.length; i++) {
      weights[i] = cubic(Math.abs(first + i + 0.5 - centre) / stretched);
      sum += weights[i];
    }
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** Keys' cubic convolution kernel with a = -1/2. */
function cubic(x: number): number {
  if (x < 1) return 1 + x * x * (1.5 * x - 2.5);
  return x < 2 ? 2 + x * (-4 + x * (2.5 - 0.5 * x)) : 0;
}
