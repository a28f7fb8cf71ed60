/** The link that shows the same again: strip, question, heads, strength and every turn of the heads. */
import { DELTAS, type Choice, type Settings } from "./controls";
import type { Turn } from "./session";

export interface Linked extends Partial<Settings> {
  origin?: "gallery" | "drawn";
  seed?: number;
  prompt?: string;
  turns?: Turn[];
}

const CHOICES: readonly string[] = ["gaze", "random", "all"] satisfies Choice[];
const MOST_SEED = 2 ** 31 - 1;
const MOST_PROMPT = 1000;
const MOST_TURNS = 200;

/** The part of a link after "#". */
export function write(linked: Required<Linked>): string {
  const { origin, seed, prompt, k, choice, delta, turns } = linked;
  const fields = new URLSearchParams({
    [origin === "gallery" ? "strip" : "drawn"]: String(seed), q: prompt, k: String(k), heads: choice,
    delta: Number.isFinite(delta) ? String(delta) : "inf",
  });
  if (turns.length) fields.set("turns", turns.map(({ token, region }) => `${token}.${region ?? 0}`).join("_"));
  return fields.toString();
}

/** What a link says; what it says wrongly is left out. */
export function read(hash: string): Linked {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const linked: Linked = {};
  for (const [name, origin] of [["strip", "gallery"], ["drawn", "drawn"]] as const) {
    const seed = whole(fields.get(name), 0, MOST_SEED);
    if (seed !== undefined) Object.assign(linked, { origin, seed });
  }
  const prompt = fields.get("q");
  if (prompt?.trim() && prompt.length <= MOST_PROMPT) linked.prompt = prompt;
  linked.k = whole(fields.get("k"), 1, 100_000);
  const choice = fields.get("heads") ?? "";
  if (CHOICES.includes(choice)) linked.choice = choice as Choice;
  const delta = fields.get("delta") === "inf" ? Infinity : Number(fields.get("delta") ?? NaN);
  if (DELTAS.includes(delta)) linked.delta = delta;
  const turns = (fields.get("turns") ?? "").split("_").map(turn);
  if (turns.length <= MOST_TURNS && turns.every((each) => each !== undefined)) linked.turns = turns;
  return linked;
}

function turn(text: string): Turn | undefined {
  const [token, region] = text.split(".").map((part) => whole(part, 0, 10_000));
  return token === undefined || region === undefined ? undefined : { token, region: region || null };
}

function whole(text: string | null, least: number, most: number): number | undefined {
  if (text === null || !/^\d+$/.test(text)) return undefined;
  const number = Number(text);
  return number >= least && number <= most ? number : undefined;
}
