/** Which engine runs the model: the server says so in engine.json; without it the browser does. */
import type { Engine } from "../engine/engine";
import { ServerEngine, type Notices } from "./server-engine";

export interface Found {
  engine: Engine;
  /** Where the model runs, in words. */
  where: string;
  /** Whether strips can be drawn on demand. */
  draws: boolean;
}

export async function findEngine(notices: Notices): Promise<Found> {
  const answer = await fetch("engine.json").catch(() => null);
  const told: { engine?: string; draws?: boolean } = answer?.ok ? await answer.json() : {};
  if (told.engine === "server") {
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return { engine: new ServerEngine(url.href, notices), where: "on the server", draws: true };
  }
  const { BrowserEngine } = await import("../engine/index");
  return { engine: new BrowserEngine(), where: "in your browser", draws: told.draws ?? false };
}
