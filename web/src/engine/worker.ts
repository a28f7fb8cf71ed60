/** The worker: loads the model and answers calls one after the other. */

import { type Description, describe, type StoredFile } from "./description";
import { EngineError, type ModelInfo } from "./engine";
import { fetchAll, type Fetched } from "./files";
import { checkGpu, Graphs } from "./graphs";
import { Language } from "./prompt";
import type { Call, Reply, Results } from "./protocol";
import { Writer } from "./writer";

const FETCHED = 0.8; // share of loading that is fetching

let writer: Writer | undefined;

const tell = (reply: Reply): void => self.postMessage(reply);

async function load(folder: string): Promise<ModelInfo> {
  const description = await describe(folder);
  await checkGpu(description);
  const fetchFiles = fetcher(folder, description.files);
  let files = await fetchFiles(false);
  try {
    writer = await prepare(description, files.contents);
  } catch (error) {
    if (!files.doubtful) throw error;
    files = await fetchFiles(true);
    writer = await prepare(description, files.contents);
  }
  tell({ progress: 1, what: "Ready" });
  return description.info;
}

/** Fetches all files of a model and tells how far it is. */
function fetcher(folder: string, files: StoredFile[]): (fresh: boolean) => Promise<Fetched> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const filled = new Map<string, number>();
  const onBytes = (name: string, bytes: number): void => {
    filled.set(name, bytes);
    const done = [...filled.values()].reduce((sum, each) => sum + each, 0);
    tell({ progress: (FETCHED * done) / total, what: "Fetching the model" });
  };
  return (fresh) => {
    filled.clear();
    return fetchAll(folder, files, onBytes, fresh);
  };
}

async function prepare(description: Description, files: Fetched["contents"]): Promise<Writer> {
  tell({ progress: FETCHED, what: "Preparing the model" });
  const json = (name: string): object => {
    try {
      return JSON.parse(new TextDecoder().decode(files.get(name)));
    } catch {
      throw new EngineError(`the exported model has no ${name} that can be read`);
    }
  };
  const [tokenizer, config] = [json("tokenizer.json"), json("tokenizer_config.json")];
  const language = new Language(tokenizer, config, description.prompt);
  return new Writer(description, await Graphs.load(description, files), language);
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
