/** What a web server answered, and in one sentence what is wrong with it. */

import { EngineError } from "./engine";

/** A file that the server does not have. */
export class MissingFile extends EngineError {}

/** The address of a file as a message names it. */
export function nameOf(url: string | URL): string {
  return String(url).replace(/[?#].*/, "");
}

/**
 * The answer to a request that succeeded.
 * @throws MissingFile if the server does not have the file, or not for us.
 * @throws EngineError if it cannot be reached or fails.
 */
export async function request(url: string | URL, options?: RequestInit): Promise<Response> {
  const name = nameOf(url);
  const answer = await fetch(url, options).catch(() => null);
  if (!answer) throw new EngineError(`cannot fetch ${name}: no connection to the server`);
  if (answer.ok) return answer;
  const { status } = answer;
  if (status === 404 || status === 410) throw new MissingFile(`${name} is not there (${status})`);
  if (status >= 500 || status === 408 || status === 429) {
    throw new EngineError(`the server cannot send ${name} now (${status}): try again later`);
  }
  // storage services refuse what they do not have
  throw new MissingFile(`the server refuses to send ${name} (${status})`);
}

/** The error of a file in whose place the server has sent its start page. */
export function aPageInstead(url: string | URL): MissingFile {
  return new MissingFile(`${nameOf(url)} is not there: the server sent a web page instead of it`);
}

/**
 * Whether an answer is a web page, or begins like one. Many hosts send their start page, with
 * status 200, for every path they do not know.
 */
export function isPage(answer: Response, start: string): boolean {
  const type = answer.headers.get("content-type") ?? "";
  return /\bx?html\b/i.test(type) || /^\uFEFF?\s*</.test(start);
}

/**
 * The contents of a JSON file. What is not JSON is asked for once more, past the browser's copy.
 * @throws MissingFile if the server does not have the file.
 * @throws EngineError if it cannot be reached, fails, or sends something else.
 */
export async function requestJson(url: string | URL, options?: RequestInit): Promise<unknown> {
  for (const cache of [options?.cache, "reload"] as const) {
    const answer = await request(url, { ...options, cache });
    const text = await answer.text().catch(() => "");
    try {
      return JSON.parse(text);
    } catch {
      if (isPage(answer, text)) throw aPageInstead(url);
    }
  }
  throw new EngineError(`${nameOf(url)} arrived incomplete or is not JSON`);
}
