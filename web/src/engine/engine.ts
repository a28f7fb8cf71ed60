/**
 * What a page needs from an engine: something that runs a vision-language model, steers its heads
 * and shows where they look, one token at a time. The page does not know whether the model runs
 * in the browser or on a server.
 *
 * Pacing is the page's business: the engine hands over a step, waits for the promise that `onStep`
 * returns, and only then looks at the steering and computes the next token. A page that waits 100 ms in
 * `onStep` writes ten tokens a second, and a hover during the wait steers the very next token.
 */

/** Layer and head, both counted from 0. */
export type Head = [layer: number, head: number];

/** x0, y0, x1, y1 in pixels of the image; x1 and y1 exclusive. */
export type Box = [x0: number, y0: number, x1: number, y1: number];

/** A panel of the request, counted from 1, or a box. */
export type Region = { panel: number } | { box: Box };

/** The model on screen and what was measured on it. */
export interface ModelInfo {
  name: string;
  layers: number;
  heads: number;
  /** Every head, best gaze score first. */
  ranking: Head[];
  /** Of the first heads of the ranking: [head][queried panel][panel] attention mass. */
  matrices: number[][][];
  /** [layer][head]. */
  gazeScores: number[][];
  /** Control heads, drawn at random from the layers of the gaze heads; `defaultK` of them. */
  randomHeads: Head[];
  defaultK: number;
}

/** One generation. */
export interface Request {
  image: ImageData;
  /** Boxes of the panels in reading order. */
  panels: Box[];
  prompt: string;
  /** Where the heads look from the start, the prefill included; null: nowhere in particular. */
  region: Region | null;
  heads: Head[];
  /** Added to the scores of the target and taken from the rest of the image; Infinity: only the target counts. */
  delta: number;
  maxTokens: number;
}

/** One new token and how it came about. */
export interface Step {
  token: number;
  /** What the token adds to the text; empty while a character is incomplete. */
  text: string;
  /** Where the heads pointed while it was computed. */
  region: Region | null;
  /** Attention mass per image token, row by row: mean over the request's heads, or the gaze heads if it has none. */
  attention: Float32Array;
  /** Rows and columns of the image's tokens; one row where they form no grid. */
  grid: [rows: number, columns: number];
  /** Four numbers per token, x0, y0, x1, y1 in pixels of the image, where they form no grid. */
  boxes?: Float32Array;
}

/** Why a generation ended: the model's end token, `stop`, or `maxTokens`. */
export type Ending = "end" | "stopped" | "length";

/** What is done with a step; the next token is computed after the promise is fulfilled. */
export type OnStep = (step: Step) => void | Promise<void>;

/** Something the person can act on: no WebGPU, a file that is missing, a region without tokens. */
export class EngineError extends Error {
  override name = "EngineError";
}

/** Runs one model and one generation at a time. */
export interface Engine {
  /**
   * Fetches and prepares the model.
   * @param onProgress share from 0 to 1, and what is being done.
   * @throws EngineError if this browser cannot run it.
   */
  load(onProgress: (share: number, what: string) => void): Promise<ModelInfo>;
  /**
   * Generates greedily. Starting anew stops the generation before.
   * @throws EngineError if the request makes no sense, such as a region that covers no token.
   */
  start(request: Request, onStep: OnStep): Promise<Ending>;
  /** Points the heads elsewhere from the next token on; null lets them go. */
  steer(region: Region | null): void;
  /** Steers other heads, or with another `delta`, from the next token on. */
  setHeads(heads: Head[], delta: number): void;
  /** Ends the generation before the next token. */
  stop(): void;
}
