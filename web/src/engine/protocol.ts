/** What the page's thread and the worker say to each other. */

import type { Box, Head, ModelInfo, Region } from "./engine";
import type { Pixels } from "./picture";

/** Where which heads look while a token is computed, and how strongly they are steered. */
export interface Steering {
  region: Region | null;
  heads: Head[];
  delta: number;
}

export interface Beginning {
  image: Pixels;
  panels: Box[];
  prompt: string;
  maxTokens: number;
}

export type Call =
  | { call: "load"; folder: string }
  | { call: "begin"; beginning: Beginning; steering: Steering }
  | { call: "next"; steering: Steering };

/** A new token; null when the model has ended its text. */
export interface Written {
  token: number;
  text: string;
  attention: Float32Array;
  grid: [rows: number, columns: number];
}

export interface Results {
  load: ModelInfo;
  begin: Written | null;
  next: Written | null;
}

export type Reply =
  | { id: number; result: Results[keyof Results] }
  | { id: number; error: string; foreseen: boolean }
  | { progress: number; what: string };
