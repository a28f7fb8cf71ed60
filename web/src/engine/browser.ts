/** The engine that runs the model in this browser, in a worker of its own. */

import {
  type Ending,
  type Engine,
  EngineError,
  type Head,
  type ModelInfo,
  type OnStep,
  type Region,
  type Request,
} from "./engine";
import type { Call, Reply, Results, Steering, Written } from "./protocol";

type Waiting = { resolve: (result: never) => void; reject: (error: Error) => void };

/**
 * The page's thread asks for one token at a time and says with each where the heads look, so that
 * the worker never has to be interrupted: a hover changes what the next question says.
 */
export class BrowserEngine implements Engine {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly waiting = new Map<number, Waiting>();
  private onProgress: (share: number, what: string) => void = () => undefined;
  private calls = 0;
  /** Why the worker answers no more. */
  private broken: Error | undefined;
  /** Number of the generation that is to go on; any other ends. */
  private current = 0;
  private steering: Steering = { region: null, heads: [], delta: Infinity };

  /** @param folder address of the exported model's folder, ending in a slash. */
  constructor(private readonly folder: string | URL = new URL("model/", document.baseURI)) {
    this.worker.onmessage = ({ data }: MessageEvent<Reply>) => this.hear(data);
    this.worker.onerror = (event) =>
      this.fail(new EngineError(event.message || "a script in the page's folder assets is missing: reload the page"));
  }

  async load(onProgress: (share: number, what: string) => void): Promise<ModelInfo> {
    this.onProgress = onProgress;
    return this.ask<"load">({ call: "load", folder: String(this.folder) });
  }

  async start(request: Request, onStep: OnStep): Promise<Ending> {
    const own = ++this.current;
    const { image, region, heads, delta, ...rest } = request;
    this.steering = { region, heads, delta };
    const { width, height, data } = image;
    const beginning = { ...rest, image: { width, height, data } as ImageData };
    for (let count = 0; count < request.maxTokens; count++) {
      const { steering } = this;
      const written: Written | null =
        count === 0
          ? await this.ask<"begin">({ call: "begin", beginning, steering })
          : await this.ask<"next">({ call: "next", steering });
      if (own !== this.current) return "stopped";
      if (!written) return "end";
      await onStep({ ...written, region: steering.region });
      if (own !== this.current) return "stopped";
    }
    return "length";
  }

  steer(region: Region | null): void {
    this.steering = { ...this.steering, region };
  }

  setHeads(heads: Head[], delta: number): void {
    this.steering = { ...this.steering, heads, delta };
  }

  stop(): void {
    this.current++;
  }

  /** Ends the worker and frees the model. */
  close(): void {
    this.stop();
    this.worker.terminate();
    this.fail(new EngineError("the engine was closed"));
  }

  private ask<Name extends Call["call"]>(call: Call & { call: Name }): Promise<Results[Name]> {
    const id = ++this.calls;
    return new Promise((resolve, reject) => {
      if (this.broken) return reject(this.broken);
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...call, id });
    });
  }

  private hear(reply: Reply): void {
    if ("progress" in reply) return this.onProgress(reply.progress, reply.what);
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if ("error" in reply) {
      const error = reply.foreseen ? new EngineError(reply.error) : new Error(reply.error);
      waiting?.reject(error);
    } else {
      waiting?.resolve(reply.result as never);
    }
  }

  private fail(error: Error): void {
    this.broken = error;
    for (const each of this.waiting.values()) each.reject(error);
    this.waiting.clear();
  }
}
