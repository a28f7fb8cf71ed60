/** One text at a time: begins, turns and ends it, at a pace a person can read. */
import type { Ending, Engine, Head, Request, Step } from "../engine/engine";
import { numberOf, regionOf, type Scene } from "./scene";

/** Milliseconds between two tokens: about ten a second. */
const PACE = 100;

/** From which token on which region (from 1; null: none) the heads were pointed at. */
export type Turn = { token: number; region: number | null };

export interface Piece {
  text: string;
  /** Number of the region that steered it; null if none did. */
  region: number | null;
  step: Step;
}

/** Who is told about a text. */
export interface Audience {
  begins(scene: Scene): void;
  hears(piece: Piece): void;
  /** The heads are pointed elsewhere; a token that is being computed may still come from before. */
  turns(region: number | null): void;
  ends(how: Ending | Error): void;
}

export interface Asked {
  scene: Scene;
  prompt: string;
  heads: Head[];
  delta: number;
  maxTokens: number;
}

export class Session {
  private audience: Audience | null = null;
  private scene: Scene | null = null;
  private turns: Turn[] = [];
  private aim: number | null = null;
  private script: Turn[] = [];
  private written = 0;
  private count = 0;

  constructor(private readonly engine: Engine) {}

  get writing(): boolean {
    return this.audience !== null;
  }

  /** Where the heads are pointed now. */
  get aimed(): number | null {
    return this.aim;
  }

  /** How the tokens of the latest text were steered. */
  get log(): readonly Turn[] {
    return this.turns;
  }

  /**
   * Begins a text; one under way is stopped.
   * @param region number of the region to start with; null: unsteered.
   * @param script later turns to repeat, for a text that was written before.
   */
  async begin(asked: Asked, region: number | null, audience: Audience, script: Turn[] = []): Promise<void> {
    this.stop();
    const mine = ++this.count;
    const { scene, prompt, heads, delta, maxTokens } = asked;
    Object.assign(this, { audience, scene, script, written: 0, turns: [], aim: region });
    audience.begins(scene);
    audience.turns(region);
    const request: Request = {
      image: scene.image, panels: scene.origin === "own" ? [] : scene.boxes,
      prompt, heads, delta, maxTokens, region: regionOf(scene, region),
    };
    try {
      const ending = await this.engine.start(request, (step) => this.hear(mine, step));
      if (mine === this.count) this.end(ending);
    } catch (error) {
      if (mine === this.count) this.end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Points the heads of the text under way elsewhere, from the next token on. */
  turn(region: number | null): void {
    if (!this.audience || this.aim === region) return;
    this.script = [];
    this.apply(region);
  }

  /** Steers other heads, or with another strength, from the next token on. */
  setHeads(heads: Head[], delta: number): void {
    if (this.writing) this.engine.setHeads(heads, delta);
  }

  /** Ends the text; no further token is shown. */
  stop(): void {
    if (!this.writing) return;
    this.count++;
    this.engine.stop();
    this.end("stopped");
  }

  private apply(region: number | null): void {
    if (!this.scene) return;
    this.aim = region;
    this.engine.steer(regionOf(this.scene, region));
    this.audience?.turns(region);
  }

  private async hear(mine: number, step: Step): Promise<void> {
    if (mine !== this.count || !this.scene) return;
    const region = numberOf(this.scene, step.region);
    if (this.turns.at(-1)?.region !== region) this.turns.push({ token: this.written, region });
    this.written++;
    this.audience?.hears({ text: step.text, region, step });
    while (this.script.length && this.script[0].token <= this.written) this.apply((this.script.shift() as Turn).region);
    await new Promise((resolve) => setTimeout(resolve, PACE));
  }

  private end(how: Ending | Error): void {
    const audience = this.audience;
    this.audience = null;
    audience?.ends(how);
  }
}
