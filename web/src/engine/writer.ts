/** Writes a text about an image, token by token, with the heads steered anew for each. */

import type { Description } from "./description";
import { EngineError } from "./engine";
import type { Graphs, ImageTensors } from "./graphs";
import { gridOf, stretch } from "./picture";
import type { Language, Prompt } from "./prompt";
import type { Beginning, Steering, Written } from "./protocol";
import { headTable, keyBias, type Layout } from "./steering";

const SHOWN_HEADS = 10;

interface Text {
  image: ImageTensors;
  layout: Layout;
  prompt: Prompt;
  tokens: number[];
  /** What was handed over of the tokens' text. */
  told: string;
}

export class Writer {
  private text: Text | undefined;

  constructor(
    private readonly description: Description,
    private readonly graphs: Graphs,
    private readonly language: Language,
  ) {}

  /** The first token about an image; forgets the text before. */
  async begin(asked: Beginning, steering: Steering): Promise<Written | null> {
    const { picture, prompt: rules } = this.description;
    const { width, height } = asked.image;
    const [rows, columns] = gridOf(width, height, picture);
    const prompt = this.language.prompt(asked.prompt, rows, columns);
    if (prompt.next + asked.maxTokens > rules.positions) {
      throw new EngineError(`the question and ${asked.maxTokens} tokens are too long for the model`);
    }
    this.graphs.forget(this.text?.image);
    this.text = undefined;
    const rgba = stretch(asked.image, columns * picture.cell, rows * picture.cell);
    const image = await this.graphs.see(rgba, rows, columns, picture.cell);
    const layout = { width, height, rows, columns, panels: asked.panels, first: prompt.first };
    this.text = { image, layout, prompt, tokens: [], told: "" };
    return this.write(this.text, prompt.ids, prompt.positions, steering);
  }

  /** The token after the last one. */
  async next(steering: Steering): Promise<Written | null> {
    const text = this.text;
    if (!text?.tokens.length) throw new EngineError("no text has been begun");
    const place = text.prompt.next + text.tokens.length - 1;
    return this.write(text, text.tokens.slice(-1), [place, place, place], steering);
  }

  private async write(
    text: Text,
    ids: number[],
    positions: number[],
    { region, heads, delta }: Steering,
  ): Promise<Written | null> {
    const { layers, heads: perLayer } = this.description.graph;
    const watched = heads.length ? heads : this.description.info.ranking.slice(0, SHOWN_HEADS);
    const keys = text.prompt.ids.length + text.tokens.length;
    const { logits, attention } = await this.graphs.pass(text.image, {
      ids,
      positions,
      headFlags: headTable(region ? heads : [], layers, perLayer, 1),
      keyBias: keyBias(region, text.layout, keys, delta),
      watch: headTable(watched, layers, perLayer, 1 / watched.length),
    });
    const token = likeliest(logits);
    text.tokens.push(token);
    if (this.language.ends(token)) return null;
    const { first, rows, columns } = text.layout;
    return {
      token,
      text: this.fresh(text),
      attention: attention.slice(first, first + rows * columns),
      grid: [rows, columns],
    };
  }

  private fresh(text: Text): string {
    const whole = this.language.text(text.tokens);
    const fresh = whole.slice(text.told.length);
    text.told = whole;
    return fresh;
  }
}

function likeliest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  return best;
}
