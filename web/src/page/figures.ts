/** Figures of the model on screen: the map of its heads, their 6x6 matrices, the staircase. */
import type { Head, ModelInfo } from "../engine/engine";
import { svg } from "./dom";
import { shares, type Scene } from "./scene";
import type { Piece } from "./session";

const CELL = 10;
const GAP = 2;

/** Layers x heads: the shade is the gaze score, a filled dot marks a head that is steered. */
export function headMap(root: HTMLElement, model: ModelInfo, steered: Head[], lit: boolean): void {
  const pitch = CELL + GAP;
  const chosen = new Set(steered.map(String));
  const most = Math.max(...model.gazeScores.flat(), 1e-9);
  const cells = model.gazeScores.flatMap((row, layer) =>
    row.map((score, head) => {
      const on = chosen.has(String([layer, head]));
      const box = svg("rect", {
        x: head * pitch, y: layer * pitch, width: CELL, height: CELL, rx: 2,
        class: on ? "cell on" : "cell", "fill-opacity": (0.08 + (0.92 * score) / most).toFixed(3),
      });
      box.append(svg("title", {}, `layer ${layer}, head ${head}: gaze score ${score.toFixed(2)}`));
      return box;
    }),
  );
  const picture = svg(
    "svg",
    {
      viewBox: `-1 -1 ${model.heads * pitch + 1} ${model.layers * pitch + 1}`, role: "img",
      class: lit ? "headmap lit" : "headmap",
      "aria-label": `${model.layers} layers of ${model.heads} heads. ${steered.length} of them are redirected` +
        ` when a panel is chosen, in layers ${layersOf(steered)}.`,
    },
    ...cells,
  );
  root.replaceChildren(picture);
}

/** The matrices of the best heads: rows are the panel asked about, columns the panel looked at. */
export function matrices(root: HTMLElement, model: ModelInfo, count: number): void {
  const figures = model.matrices.slice(0, count).map((matrix, i) => {
    const [layer, head] = model.ranking[i];
    const score = model.gazeScores[layer][head].toFixed(2);
    const cells = matrix.flatMap((row, asked) =>
      row.map((mass, seen) => {
        const box = svg("rect", {
          x: seen * pitchOf(), y: asked * pitchOf(), width: CELL, height: CELL, rx: 1,
          class: "cell", "fill-opacity": (0.06 + 0.94 * Math.min(1, mass)).toFixed(3),
        });
        box.append(svg("title", {}, `asked about ${asked + 1}, looks at ${seen + 1}: ${mass.toFixed(2)}`));
        return box;
      }),
    );
    const side = matrix.length * pitchOf();
    const diagonal = matrix.map((row, k) => row[k].toFixed(2)).join(", ");
    const picture = svg(
      "svg",
      {
        viewBox: `0 0 ${side} ${side}`, role: "img",
        "aria-label": `Layer ${layer}, head ${head}: attention to the panel asked about, panel by panel: ${diagonal}.`,
      },
      ...cells,
    );
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = `L${layer}H${head} · ${score}`;
    figure.append(picture, caption);
    return figure;
  });
  root.replaceChildren(...figures);
}

/** Where the heads looked, token by token: a column per token, a row per region. */
export class Staircase {
  private columns: number[][] = [];
  private scene: Scene | null = null;
  private readonly context: CanvasRenderingContext2D | null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d");
  }

  begin(scene: Scene): void {
    this.scene = scene;
    this.columns = [];
    this.paint();
  }

  add({ step }: Piece): void {
    if (!this.scene || !step.attention.length) return;
    this.columns.push(shares(this.scene, step));
    this.paint();
  }

  /** In words, for those who do not see it. */
  end(): void {
    const path = this.columns.map((column) => column.indexOf(Math.max(...column)) + 1);
    const steps = path.filter((region, i) => region !== path[i - 1]);
    this.canvas.setAttribute(
      "aria-label",
      steps.length ? `Region looked at most, in order: ${steps.join(", ")}.` : "Nothing was written yet.",
    );
  }

  private paint(): void {
    const { context, canvas, columns, scene } = this;
    if (!context || !scene) return;
    const rows = scene.boxes.length;
    const style = getComputedStyle(canvas);
    canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
    canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
    const pitch = Math.min(canvas.width / Math.max(columns.length, 40), 16 * devicePixelRatio);
    const height = canvas.height / Math.max(1, rows);
    for (let row = 0; row < rows; row++) {
      context.fillStyle = style.getPropertyValue("--line");
      context.fillRect(0, Math.round((row + 1) * height) - 1, canvas.width, 1);
      context.fillStyle = style.getPropertyValue(`--panel-${(row % 8) + 1}`);
      columns.forEach((column, x) => {
        context.globalAlpha = Math.min(1, column[row]);
        context.fillRect(x * pitch, row * height + 1, Math.max(1, pitch - devicePixelRatio), height - 2);
      });
      context.globalAlpha = 1;
    }
  }
}

const pitchOf = (): number => CELL + 1;

function layersOf(heads: Head[]): string {
  const layers = [...new Set(heads.map(([layer]) => layer))].sort((a, b) => a - b);
  return layers.length ? layers.join(", ") : "none";
}
