/** What is on the stage: a picture, the regions in it, and how it came to be. */
import { requestJson } from "../engine/answers";
import type { Box, Region, Step } from "../engine/engine";

export interface Scene {
  /** "gallery" and "drawn" come from a seed and fit into a link; "own" never leaves the visitor. */
  origin: "gallery" | "drawn" | "own";
  seed: number;
  image: ImageData;
  /** Panels of a strip, in reading order; the boxes someone has drawn on a picture of their own. */
  boxes: Box[];
  /** One per box; empty strings if unknown. */
  captions: string[];
}

/** A strip as the server and the gallery describe it. */
export interface StripFile {
  seed: number;
  panels: Box[];
  captions: string[];
  picture: string;
}

const MOST_PIXELS = 1_200_000;
const MOST_SIDE = 3000;

/** The strips that ship with the page; their pictures are loaded when they are put on stage. */
export async function gallery(): Promise<{ strips: StripFile[]; url: (strip: StripFile) => string }> {
  const { strips } = (await requestJson("gallery/strips.json")) as { strips: StripFile[] };
  return { strips, url: (strip) => new URL(`gallery/${strip.picture}`, document.baseURI).href };
}

/** A strip of the gallery. */
export async function fromGallery(strip: StripFile, url: string): Promise<Scene> {
  return scene("gallery", strip, url);
}

/** A strip that the server draws from a seed. */
export async function drawn(seed: number): Promise<Scene> {
  const strip = (await requestJson(`drawn/${seed}.json`)) as StripFile;
  return scene("drawn", strip, strip.picture);
}

/** A visitor's own picture, made small enough for the model. It has no boxes yet. */
export async function fromFile(file: Blob): Promise<Scene> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This file is not a picture the browser can read. Try a PNG or a JPEG.");
  }
  const { width, height } = bitmap;
  const shrink = Math.min(
    1,
    Math.sqrt(MOST_PIXELS / (width * height)),
    MOST_SIDE / Math.max(width, height),
  );
  const image = pixels(bitmap, Math.max(32, Math.round(width * shrink)), Math.max(32, Math.round(height * shrink)));
  bitmap.close();
  return { origin: "own", seed: 0, image, boxes: [], captions: [] };
}

/** The region a number names, counted from 1. */
export function regionOf(scene: Scene, number: number | null): Region | null {
  if (number === null) return null;
  return scene.origin === "own" ? { box: scene.boxes[number - 1] } : { panel: number };
}

/** The number of a region, counted from 1; null if there is none. */
export function numberOf(scene: Scene, region: Region | null): number | null {
  if (region === null) return null;
  if ("panel" in region) return region.panel;
  const found = scene.boxes.findIndex((box) => box.every((x, i) => Math.abs(x - region.box[i]) < 1e-3));
  return found < 0 ? null : found + 1;
}

/** The box of a token, in pixels of the image. */
export function tokenBox({ image }: Scene, { grid: [rows, columns], boxes }: Step, i: number): Box {
  if (boxes) return [boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]];
  const [wide, high] = [image.width / columns, image.height / rows];
  const [x, y] = [(i % columns) * wide, Math.floor(i / columns) * high];
  return [x, y, x + wide, y + high];
}

/** Attention mass inside each box, as shares of the mass on the image; a token belongs where its centre is. */
export function shares(scene: Scene, step: Step): number[] {
  const sums = scene.boxes.map(() => 0);
  let total = 0;
  step.attention.forEach((mass, i) => {
    const [a, b, c, d] = tokenBox(scene, step, i);
    const [x, y] = [(a + c) / 2, (b + d) / 2];
    total += mass;
    scene.boxes.forEach(([x0, y0, x1, y1], k) => {
      if (x >= x0 && x < x1 && y >= y0 && y < y1) sums[k] += mass;
    });
  });
  return sums.map((sum) => (total > 0 ? sum / total : 0));
}

async function scene(origin: "gallery" | "drawn", strip: StripFile, url: string): Promise<Scene> {
  const picture = new Image();
  picture.src = url;
  await picture.decode().catch(() => {
    throw new Error(`The server did not send the picture ${url}.`);
  });
  const image = pixels(picture, picture.naturalWidth, picture.naturalHeight);
  return { origin, seed: strip.seed, image, boxes: strip.panels, captions: strip.captions };
}

function pixels(source: CanvasImageSource, width: number, height: number): ImageData {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser cannot draw on a canvas.");
  context.fillStyle = "#fff"; // under pictures with transparency
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
