/** Which heads, how many, how strong: the state of the controls and what follows from it. */
import type { Head, ModelInfo } from "../engine/engine";

export type Choice = "gaze" | "random" | "all";

export interface Settings {
  choice: Choice;
  k: number;
  delta: number;
}

/** Strengths on the slider, in units of attention scores. */
export const DELTAS = [0, 0.5, 1, 2, 3, 5, 10, 100, Infinity];

/** The heads that these settings steer. */
export function headsOf(model: ModelInfo, { choice, k }: Settings): Head[] {
  if (choice === "all") return model.ranking;
  return (choice === "gaze" ? model.ranking : model.randomHeads).slice(0, k);
}

/** In words: "16 gaze heads". */
export function inWords(model: ModelInfo, settings: Settings): string {
  const count = headsOf(model, settings).length;
  const kind = settings.choice === "all" ? "all" : settings.choice;
  return kind === "all" ? `all ${count} heads` : `${count} ${kind} head${count === 1 ? "" : "s"}`;
}

/** Numbers of heads on the slider: one by one at first, then in steps of about a fifth. */
export function counts(model: ModelInfo, k: number): number[] {
  const all = model.layers * model.heads;
  const found = new Set([k, model.defaultK, all]);
  for (let n = 1; n < all; n = Math.max(n + 1, Math.round(n * 1.2))) found.add(n);
  return [...found].filter((n) => n >= 1 && n <= all).sort((a, b) => a - b);
}

/** A strength in words. */
export function strength(delta: number): string {
  return Number.isFinite(delta) ? `±${delta}` : "∞: only the target counts";
}
