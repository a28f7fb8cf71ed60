/**
 * The engine on a server: a WebSocket that carries pictures as binary frames and everything else
 * as JSON. The server computes a token only when asked, so `onStep` paces it and whatever was said
 * before the asking acts on that token.
 */
import { EngineError } from "../engine/engine";
import type { Ending, Engine, Head, ModelInfo, OnStep, Region, Request } from "../engine/engine";

interface Told {
  type: string;
  text?: number;
  [field: string]: unknown;
}

interface Running {
  text: number;
  onStep: OnStep;
  end(ending: Ending): void;
  fail(error: Error): void;
}

/** What the page may show beyond the interface: who is ahead in the queue, and mistakes. */
export interface Notices {
  waiting(ahead: number): void;
  refused(message: string): void;
}

export class ServerEngine implements Engine {
  private socket: WebSocket | null = null;
  private texts = 0;
  private running: Running | null = null;
  private sent: ImageData | null = null;
  /** Of the running text's tokens, where they form no grid. */
  private boxes: Float32Array | undefined;

  constructor(
    private readonly url: string,
    private readonly notices: Notices,
  ) {}

  load(onProgress: (share: number, what: string) => void): Promise<ModelInfo> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.url);
      this.socket = socket;
      this.sent = null;
      socket.onmessage = (event) => {
        const told = JSON.parse(event.data as string) as Told;
        if (told.type === "loading") onProgress(told.share as number, told.what as string);
        else if (told.type === "ready") resolve(told.model as ModelInfo);
        else if (told.type === "error" && !this.running) {
          this.notices.refused(told.message as string);
          reject(new EngineError(told.message as string));
        } else void this.hear(told);
      };
      socket.onclose = (event) => {
        const why = event.reason || "The server has gone. Reload the page to try again.";
        reject(new EngineError(why));
        this.running?.fail(new EngineError(why));
        this.running = null;
      };
    });
  }

  async start(request: Request, onStep: OnStep): Promise<Ending> {
    this.stop();
    const text = ++this.texts;
    const picture = request.image === this.sent ? null : await encode(request.image);
    if (text !== this.texts) return "stopped";
    if (picture !== null) {
      this.socket?.send(picture);
      this.sent = request.image;
    }
    const { prompt, panels, region, heads, maxTokens } = request;
    const delta = inJson(request.delta);
    return new Promise((resolve, reject) => {
      this.running = { text, onStep, end: resolve, fail: reject };
      this.say({ type: "start", text, prompt, panels, region, heads, delta, maxTokens });
    });
  }

  steer(region: Region | null): void {
    if (this.running) this.say({ type: "steer", region });
  }

  setHeads(heads: Head[], delta: number): void {
    if (this.running) this.say({ type: "heads", heads, delta: inJson(delta) });
  }

  stop(): void {
    this.texts++;
    if (!this.running) return;
    this.say({ type: "stop" });
    this.running.end("stopped");
    this.running = null;
  }

  private say(message: object): void {
    if (this.socket?.readyState !== WebSocket.OPEN)
      throw new EngineError("The server has gone. Reload the page to try again.");
    this.socket.send(JSON.stringify(message));
  }

  private async hear(told: Told): Promise<void> {
    const running = this.running;
    if (told.type === "error") this.notices.refused(told.message as string);
    if (!running || told.text !== running.text) return;
    if (told.type === "waiting") this.notices.waiting(told.ahead as number);
    if (told.type === "done") this.finish(() => running.end(told.reason as Ending));
    if (told.type === "failed")
      this.finish(() => running.fail(new EngineError(told.message as string)));
    if (told.type !== "step") return;
    if (told.token === 0) this.boxes = told.boxes ? Float32Array.from(told.boxes as number[]) : undefined;
    await running.onStep({
      token: told.token as number,
      text: told.piece as string,
      region: told.region as Region | null,
      attention: Float32Array.from(told.attention as number[]),
      grid: told.grid as [number, number],
      boxes: this.boxes,
    });
    if (this.running === running) this.say({ type: "next" });
  }

  private finish(tell: () => void): void {
    this.running = null;
    tell();
  }
}

/** A strength; JSON has no infinity. */
function inJson(delta: number): number | null {
  return Number.isFinite(delta) ? delta : null;
}

/** The picture as a PNG: lossless, so that the server's model sees the page's pixels. */
async function encode(image: ImageData): Promise<Blob> {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas.convertToBlob({ type: "image/png" });
}
