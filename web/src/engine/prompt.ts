/** From a question to the decoder's tokens and positions, and from tokens to text. */

import { Tokenizer } from "@huggingface/tokenizers";
import type { Description } from "./description";
import { EngineError } from "./engine";

export interface Prompt {
  ids: number[];
  /** [time, row, column] of each token, one after the other: 3 x ids.length. */
  positions: number[];
  /** Position of the first new token, in all three. */
  next: number;
  /** Place of the first image token. */
  first: number;
}

/** The model's tokenizer and chat template. */
export class Language {
  private readonly tokenizer: Tokenizer;
  private readonly rules: Description["prompt"];

  constructor(tokenizer: object, config: object, rules: Description["prompt"]) {
    this.tokenizer = new Tokenizer(tokenizer, config);
    this.rules = rules;
  }

  /** A question about an image of `rows` x `columns` tokens. */
  prompt(question: string, rows: number, columns: number): Prompt {
    const text = this.rules.before + question + this.rules.after;
    const plain = this.tokenizer.encode(text, { add_special_tokens: false }).ids;
    const first = plain.indexOf(this.rules.imageToken);
    if (first < 0 || plain.indexOf(this.rules.imageToken, first + 1) >= 0) {
      throw new EngineError("a question must not contain the model's word for an image");
    }
    const image = new Array<number>(rows * columns).fill(this.rules.imageToken);
    const ids = [...plain.slice(0, first), ...image, ...plain.slice(first + 1)];
    return { ids, first, ...positionsOf(ids.length, first, rows, columns) };
  }

  /** The text of so many tokens, without special ones and without an incomplete character. */
  text(tokens: number[]): string {
    if (tokens.length === 0) return "";
    return this.tokenizer.decode(tokens, { skip_special_tokens: true }).replace(/\uFFFD+$/, "");
  }

  ends(token: number): boolean {
    return this.rules.stops.includes(token);
  }
}

/**
 * Text counts on in all three dimensions. An image stays at one time while rows and columns count
 * from there; what follows goes on after the longer side.
 */
function positionsOf(
  length: number,
  first: number,
  rows: number,
  columns: number,
): { positions: number[]; next: number } {
  const image = rows * columns;
  const jump = Math.max(rows, columns) - image;
  const place = (i: number, offset: (cell: number) => number): number => {
    if (i < first) return i;
    return i < first + image ? first + offset(i - first) : i + jump;
  };
  const offsets = [
    () => 0,
    (cell: number) => Math.floor(cell / columns),
    (cell: number) => cell % columns,
  ];
  const positions = offsets.flatMap((offset) => Array.from({ length }, (_, i) => place(i, offset)));
  return { positions, next: length + jump };
}
