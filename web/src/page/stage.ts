/**
 * The picture on stage: hover, tap, arrow keys or digits choose a region; a veil leaves bright what
 * the heads look at. A strip is shown panel by panel, so that it can break into rows on a phone; any
 * other picture is shown whole.
 */
import type { Box, Step } from "../engine/engine";
import { el, hue } from "./dom";
import { type Scene, tokenBox } from "./scene";

/** What a person does on the stage. */
export interface Hands {
  /** A region is pointed at. */
  point(region: number): void;
  /** The pointer has left, or Escape was pressed. */
  leave(): void;
  /** A box was dragged, moved or taken away on a picture of one's own. */
  boxes(boxes: Box[]): void;
}

interface Tile {
  crop: Box;
  picture: HTMLCanvasElement;
  veil: HTMLCanvasElement;
}

const LEAST_DRAG = 10;
const NUDGE = 0.02; // of the picture's side, per key press
const VEIL = 0.8;
const FINE = 96; // cells along the longer side, for tokens that form no grid
const SEAM = 3 / 256; // half of it, as a share of a panel's height

export class Stage {
  private scene: Scene | null = null;
  private tiles: Tile[] = [];
  private buttons: HTMLButtonElement[] = [];
  private seen: Float32Array = new Float32Array();
  private steered: number | null = null;

  /** Who is told; nobody while the model is loading. */
  hands: Hands | null = null;

  constructor(private readonly root: HTMLElement) {
    root.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.hands?.leave());
    root.addEventListener("keydown", (event) => this.key(event));
    root.addEventListener("focusout", (event) => {
      if (!root.contains(event.relatedTarget as Node | null)) this.hands?.leave();
    });
    // a finger on nothing in particular; scrolling is no click
    document.addEventListener("click", (event) => {
      const target = event.target as Element;
      const finger = (event as PointerEvent).pointerType !== "mouse";
      if (finger && !root.contains(target) && !target.closest("button, input, label, a")) this.hands?.leave();
    });
  }

  /** Puts a scene on stage. */
  show(scene: Scene): void {
    this.scene = scene;
    this.steered = null;
    const whole: Box = [0, 0, scene.image.width, scene.image.height];
    const own = scene.origin === "own";
    this.root.className = own ? "stage whole" : "stage strip";
    this.root.style.setProperty("--columns", String(scene.boxes.length));
    this.tiles = (own ? [whole] : scene.boxes.map(withoutSeam)).map((crop) => tile(scene.image, crop));
    this.buttons = scene.boxes.map((_, i) => this.button(i + 1, scene));
    const frames = this.tiles.map((each, i) => {
      const inside = own ? this.buttons : [this.buttons[i]];
      return el("div", { class: "tile" }, each.picture, each.veil, ...inside);
    });
    scene.boxes.forEach((box, i) => place(this.buttons[i], box, own ? whole : scene.boxes[i]));
    this.root.replaceChildren(...frames);
    if (own) this.dragging(frames[0], whole);
  }

  /** Marks the region that steers; null: none. */
  mark(region: number | null): void {
    this.steered = region;
    this.buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i + 1 === region));
      button.tabIndex = i + 1 === (region ?? 1) ? 0 : -1;
    });
  }

  /** Lets the veil show where the heads look; a little of the step before shines through. */
  look(step: Step): void {
    const { attention } = step;
    if (!attention.length) return;
    if (this.seen.length !== attention.length) this.seen = attention.slice();
    else this.seen = this.seen.map((old, i) => 0.4 * old + 0.6 * attention[i]);
    this.paint(step);
  }

  /** Takes the veil away. */
  unveil(): void {
    this.seen = new Float32Array();
    for (const { veil } of this.tiles) veil.getContext("2d")?.clearRect(0, 0, veil.width, veil.height);
  }

  /** Moves the keyboard to a region and points there. */
  focus(region: number): void {
    this.buttons[region - 1]?.focus();
    if (this.buttons[region - 1]) this.hands?.point(region);
  }

  private button(number: number, scene: Scene): HTMLButtonElement {
    const what = scene.origin === "own" ? "Region" : "Panel";
    const caption = scene.captions[number - 1]?.replace(/\.$/, "");
    const button = el(
      "button",
      {
        type: "button", class: "region", tabindex: number === 1 ? 0 : -1, "aria-pressed": "false",
        "aria-label": `${what} ${number}${caption ? `: ${caption}` : ""}. Point the heads here`,
        onclick: (event: MouseEvent) => this.tap(number, event),
      },
      el("span", { class: "number", "aria-hidden": "true" }, String(number)),
    );
    button.style.setProperty("--hue", hue(number));
    button.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && event.buttons === 0) this.hands?.point(number);
    });
    return button;
  }

  /** A finger or a key; a second time lets go. A mouse has pointed there by hovering. */
  private tap(number: number, event: MouseEvent): void {
    const mouse = (event as PointerEvent).pointerType === "mouse";
    if (this.steered === number && !mouse) this.hands?.leave();
    else this.hands?.point(number);
  }

  private key(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const current = this.buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (current < 0) return;
    if (event.altKey || event.key === "Delete") return this.reshape(event, current);
    if (step === undefined) return;
    event.preventDefault();
    this.focus(((current + step + this.buttons.length) % this.buttons.length) + 1);
  }

  /** Alt and arrows move a box of one's own, with Shift they resize it, Delete takes it away. */
  private reshape(event: KeyboardEvent, index: number): void {
    const scene = this.scene;
    if (scene?.origin !== "own") return;
    const boxes = [...scene.boxes];
    const along = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (event.key === "Delete") boxes.splice(index, 1);
    else if (along) {
      const { width, height } = scene.image;
      const [dx, dy] = [along[0] * NUDGE * width, along[1] * NUDGE * height];
      const [x0, y0, x1, y1] = boxes[index];
      const kept = event.shiftKey ? 0 : 1;
      const moved: Box = [x0 + kept * dx, y0 + kept * dy, x1 + dx, y1 + dy];
      if (!fits(moved, width, height)) return;
      boxes[index] = moved;
    } else return;
    event.preventDefault();
    this.hands?.boxes(boxes);
    this.buttons[Math.min(index, boxes.length - 1)]?.focus();
  }

  /** Dragging over the picture draws a new box. */
  private dragging(frame: HTMLElement, [, , width, height]: Box): void {
    let from: [number, number] | null = null;
    const ghost = el("div", { class: "ghost" });
    const at = (event: PointerEvent): [number, number] => {
      const { left, top, width: w, height: h } = frame.getBoundingClientRect();
      const share = (x: number) => Math.min(1, Math.max(0, x));
      return [share((event.clientX - left) / w) * width, share((event.clientY - top) / h) * height];
    };
    const drawn = (event: PointerEvent): Box | null => {
      const to = at(event);
      if (!from || Math.min(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])) < LEAST_DRAG) return null;
      return [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])];
    };
    frame.addEventListener("pointerdown", (event) => {
      from = at(event);
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      const box = drawn(event);
      if (!box) return;
      if (!ghost.isConnected) frame.append(ghost);
      place(ghost, box, [0, 0, width, height]);
    });
    frame.addEventListener("pointerup", (event) => {
      const box = drawn(event);
      from = null;
      ghost.remove();
      if (box && this.scene) this.hands?.boxes([...this.scene.boxes, box]);
    });
    frame.addEventListener("pointercancel", () => {
      from = null;
      ghost.remove();
    });
  }

  private paint(step: Step): void {
    const scene = this.scene;
    if (!scene) return;
    const [values, [rows, columns]] = step.boxes ? onCells(this.seen, scene, step) : [this.seen, step.grid];
    if (rows * columns !== values.length) return;
    const most = values.reduce((a, b) => Math.max(a, b), 1e-9);
    const colour = getComputedStyle(this.root).getPropertyValue("--veil").split(",").map(Number);
    const cells = new ImageData(columns, rows);
    values.forEach((mass, i) => {
      cells.data.set(colour, 4 * i);
      cells.data[4 * i + 3] = 255 * VEIL * (1 - Math.sqrt(mass / most));
    });
    for (const each of this.tiles) spread(cells, each, scene.image);
  }
}

/** Tokens in any arrangement on fine cells: what lies over a cell's middle adds up there. */
function onCells(seen: Float32Array, scene: Scene, step: Step): [Float32Array, [number, number]] {
  const { width, height } = scene.image;
  const cell = Math.max(width, height) / FINE;
  const [rows, columns] = [Math.max(1, Math.round(height / cell)), Math.max(1, Math.round(width / cell))];
  const values = new Float32Array(rows * columns);
  const [across, down] = [columns / width, rows / height];
  seen.forEach((mass, i) => {
    const [x0, y0, x1, y1] = tokenBox(scene, step, i);
    const density = mass / Math.max((x1 - x0) * (y1 - y0), 1e-9);
    for (let y = Math.max(0, Math.ceil(y0 * down - 0.5)); y < rows && y + 0.5 < y1 * down; y++)
      for (let x = Math.max(0, Math.ceil(x0 * across - 0.5)); x < columns && x + 0.5 < x1 * across; x++)
        values[y * columns + x] += density;
  });
  return [values, [rows, columns]];
}

/** Draws the cells over a tile, smoothly, without those beyond its edges shining in. */
function spread(cells: ImageData, { crop, veil }: Tile, image: ImageData): void {
  const [sx, sy] = [cells.width / image.width, cells.height / image.height];
  const [x0, y0, x1, y1] = [crop[0] * sx, crop[1] * sy, crop[2] * sx, crop[3] * sy];
  const [left, top] = [Math.floor(x0 + 0.01), Math.floor(y0 + 0.01)];
  const inside = new OffscreenCanvas(Math.ceil(x1 - 0.01) - left, Math.ceil(y1 - 0.01) - top);
  inside.getContext("2d")?.putImageData(cells, -left, -top);
  const context = veil.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, veil.width, veil.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(inside, x0 - left, y0 - top, x1 - x0, y1 - y0, 0, 0, veil.width, veil.height);
}

/** The white seam between panels is no part of what a panel shows. */
function withoutSeam([x0, y0, x1, y1]: Box): Box {
  const seam = SEAM * (y1 - y0);
  return [x0 + seam, y0 + seam, x1 - seam, y1 - seam];
}

function tile(image: ImageData, crop: Box): Tile {
  const [x0, y0, x1, y1] = crop.map(Math.round);
  const picture = el("canvas", { width: x1 - x0, height: y1 - y0, "aria-hidden": "true" });
  picture.getContext("2d")?.putImageData(image, -x0, -y0);
  const veil = el("canvas", { class: "veil", width: x1 - x0, height: y1 - y0, "aria-hidden": "true" });
  return { crop, picture, veil };
}

function place(element: HTMLElement, [x0, y0, x1, y1]: Box, [a, b, c, d]: Box): void {
  const percent = (share: number) => `${(100 * share).toFixed(3)}%`;
  element.style.left = percent((x0 - a) / (c - a));
  element.style.top = percent((y0 - b) / (d - b));
  element.style.width = percent((x1 - x0) / (c - a));
  element.style.height = percent((y1 - y0) / (d - b));
}

function fits([x0, y0, x1, y1]: Box, width: number, height: number): boolean {
  return x0 >= 0 && y0 >= 0 && x1 <= width && y1 <= height && x1 - x0 >= LEAST_DRAG && y1 - y0 >= LEAST_DRAG;
}
