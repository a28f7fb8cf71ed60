/** Which engine runs the model: the server says so in engine.json; without it the browser does. */
import { MissingFile, request } from "../engine/answers";
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
  const told = await fromServer();
  if (told.engine === "server") {
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return { engine: new ServerEngine(url.href, notices), where: "on the server", draws: true };
  }
  const { BrowserEngine } = await import("../engine/index");
  return { engine: new BrowserEngine(), where: "in your browser", draws: told.draws ?? false };
}

/** What engine.json says. A static host has none: it answers 404, or anything with status 200. */
async function fromServer(): Promise<{ engine?: string; draws?: boolean }> {
  try {
    const answer = await request("engine.json");
    return Object(await answer.json().catch(() => null));
  } catch (error) {
    if (error instanceof MissingFile) return {};
    throw error;
  }
}
