/** The worker: loads the model and answers calls one after the other. */

import { type Description, describe } from "./description";
import { EngineError, type ModelInfo } from "./engine";
import { fetchAll } from "./files";
import { Graphs } from "./graphs";
import { Language } from "./prompt";
import type { Call, Reply, Results } from "./protocol";
import { Writer } from "./writer";

const FETCHED = 0.8; // share of loading that is fetching

let writer: Writer | undefined;

const tell = (reply: Reply): void => self.postMessage(reply);

async function load(folder: string): Promise<ModelInfo> {
  const description = await describe(folder);
  const total = description.files.reduce((sum, file) => sum + file.bytes, 0);
  let done = 0;
  const files = await fetchAll(folder, description.files, (fresh) => {
    done += fresh;
    tell({ progress: (FETCHED * done) / total, what: "Fetching the model" });
  });
  tell({ progress: FETCHED, what: "Preparing the model" });
  const language = languageOf(description, files);
  writer = new Writer(description, await Graphs.load(description, files), language);
  tell({ progress: 1, what: "Ready" });
  return description.info;
}

function languageOf(description: Description, files: Map<string, Uint8Array>): Language {
  const json = (name: string): object => JSON.parse(new TextDecoder().decode(files.get(name)));
  return new Language(json("tokenizer.json"), json("tokenizer_config.json"), description.prompt);
}

async function answer(call: Call): Promise<Results[keyof Results]> {
  if (call.call === "load") return load(call.folder);
  if (!writer) throw new EngineError("the model is not loaded yet");
  return call.call === "begin"
    ? writer.begin(call.beginning, call.steering)
    : writer.next(call.steering);
}

let before: Promise<void> = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Call & { id: number }>) => {
  before = before.then(async () => {
    try {
      tell({ id: data.id, result: await answer(data) });
    } catch (error) {
      const { message } = error as Error;
      tell({ id: data.id, error: message, foreseen: error instanceof EngineError });
    }
  });
};
