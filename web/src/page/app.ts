/** The page at work: what a person does goes to the session, what the session writes to the page. */
import { EngineError, type Engine, type ModelInfo } from "../engine/engine";
import { DELTAS, counts, headsOf, inWords, strength, type Choice, type Settings } from "./controls";
import { byId } from "./dom";
import { Staircase, headMap, matrices } from "./figures";
import { write, type Linked } from "./link";
import { PROMPTS, type Question } from "./question";
import type { Scene } from "./scene";
import { Session, type Audience, type Turn } from "./session";
import type { Stage } from "./stage";
import { Story } from "./story";

const MOST_TOKENS = 120;
const SHOWN_MATRICES = 6;

export class App {
  private readonly session: Session;
  private readonly story = new Story(byId("story"), byId("log"), byId("herald"));
  private readonly trail = new Staircase(byId<HTMLCanvasElement>("trail"));
  private settings: Settings;
  private ks: number[];
  /** How the latest text of the main story was steered. */
  private turns: Turn[] = [];

  constructor(
    engine: Engine,
    private readonly model: ModelInfo,
    private readonly stage: Stage,
    private readonly question: Question,
    private scene: Scene,
    linked: Linked,
  ) {
    this.session = new Session(engine);
    stage.hands = {
      point: (region) => this.point(region),
      leave: () => this.leave(),
      boxes: (boxes) => this.show({ ...this.scene, boxes }),
    };
    const most = model.layers * model.heads;
    this.settings = {
      choice: linked.choice ?? "gaze",
      k: Math.min(linked.k ?? model.defaultK, most),
      delta: linked.delta ?? Infinity,
    };
    this.ks = counts(model, this.settings.k);
    this.controls();
    matrices(byId("matrices"), model, SHOWN_MATRICES);
    byId("matrices-line").textContent =
      `The ${Math.min(SHOWN_MATRICES, model.matrices.length)} best heads of ${model.name}, the model on this page, with their gaze` +
      " scores. Rows: the panel asked about. Columns: the panel looked at. The stronger the colour, the more attention.";
    byId("stairs-line").textContent =
      `${model.name}, unsteered: each column is a token, each row a panel, and the shade is the share of the image attention of its ` +
      `${model.defaultK} best gaze heads.`;
    this.show(scene);
    if (linked.turns?.length) this.repeat(linked.turns);
  }

  /** Puts another picture on stage. */
  show(scene: Scene): void {
    this.session.stop();
    const another = scene.image !== this.scene.image;
    this.scene = scene;
    this.turns = [];
    byId<HTMLButtonElement>("again").disabled = true;
    this.stage.show(scene);
    this.stage.unveil();
    this.story.clear();
    this.trail.begin(scene);
    const own = scene.origin === "own";
    if (another) this.question.fitTo(!own);
    byId("box").hidden = byId("own-note").hidden = !own;
    byId("hint").textContent = own
      ? scene.boxes.length
        ? "Rest on a region to have it described. Drag to mark another. Delete takes a region away, Alt and arrows move it."
        : "Drag over a part of your picture to mark a region."
      : matchMedia("(hover: none)").matches
        ? "Tap a panel; tap it again to stop."
        : "Hover or press 1 to 6. Leave the strip or press Escape to stop.";
    byId("own-note").textContent =
      `The picture stays between this page and its model. ${this.model.name === "comic-tiny" ? "comic-tiny has seen nothing but drawn comics: do not expect much of it elsewhere." : ""}`;
    this.remember();
  }

  /** The digits of the keyboard, wherever the focus is. */
  key(event: KeyboardEvent): void {
    if (event.target instanceof HTMLTextAreaElement || event.target instanceof HTMLSelectElement) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") this.leave();
    const digit = Number(event.key);
    if (/^[1-9]$/.test(event.key) && digit <= this.scene.boxes.length) this.stage.focus(digit);
  }

  /** Says that something went wrong, in the page's own place for it. */
  static trouble(message: string): void {
    const place = byId("trouble");
    place.textContent = message;
    place.hidden = !message;
  }

  private point(region: number): void {
    if (this.session.writing) this.session.turn(region);
    else this.write(region);
  }

  private leave(): void {
    this.session.stop();
  }

  private repeat(turns: readonly Turn[]): void {
    const [first, ...rest] = turns;
    this.write(first.region, [...rest]);
  }

  private write(region: number | null, script: Turn[] = [], prompt = this.question.text, audience = this.audience()): void {
    const asked = {
      scene: this.scene, prompt, delta: this.settings.delta,
      heads: headsOf(this.model, this.settings), maxTokens: MOST_TOKENS,
    };
    App.trouble("");
    void this.session.begin(asked, region, audience, script);
  }

  /** The main text: story, veil, log and trail. */
  private audience(): Audience {
    return {
      begins: (scene) => {
        this.story.begin();
        this.trail.begin(scene);
        this.stage.unveil();
      },
      hears: (piece) => {
        this.story.add(piece);
        this.trail.add(piece);
        this.stage.look(piece.step);
      },
      turns: (region) => {
        this.stage.mark(region);
        this.tell();
      },
      ends: (how) => this.ended(how),
    };
  }

  /** The story of the staircase figure. */
  private narrator(): Audience {
    const stairs = new Staircase(byId<HTMLCanvasElement>("stairs"));
    const text = byId("stairs-text");
    return {
      begins: (scene) => {
        stairs.begin(scene);
        text.textContent = "";
      },
      hears: (piece) => {
        stairs.add(piece);
        text.append(piece.text);
      },
      turns: () => this.stage.mark(null),
      ends: (how) => {
        stairs.end();
        if (how instanceof Error) App.trouble(how.message);
      },
    };
  }

  private ended(how: unknown): void {
    this.turns = [...this.session.log];
    this.story.end();
    this.trail.end();
    this.stage.mark(null);
    this.stage.unveil();
    this.tell();
    byId<HTMLButtonElement>("again").disabled = !this.turns.length;
    this.remember();
    if (how instanceof EngineError) App.trouble(how.message);
    else if (how instanceof Error) App.trouble(`The model stopped: ${how.message}`);
  }

  private tell(): void {
    const region = this.session.writing ? this.session.aimed : null;
    const what = this.scene.origin === "own" ? "region" : "panel";
    const heads = inWords(this.model, this.settings);
    byId("status").textContent = !this.session.writing
      ? `Ready. ${heads} will be turned.`
      : region === null ? "Writing without steering." : `${heads} look at ${what} ${region}.`;
    headMap(byId("headmap"), this.model, headsOf(this.model, this.settings), region !== null);
  }

  private controls(): void {
    const k = byId<HTMLInputElement>("k");
    const delta = byId<HTMLInputElement>("delta");
    k.max = String(this.ks.length - 1);
    k.value = String(this.ks.indexOf(this.settings.k));
    delta.max = String(DELTAS.length - 1);
    delta.value = String(DELTAS.indexOf(this.settings.delta));
    const radios = [...document.querySelectorAll<HTMLInputElement>("input[name=choice]")];
    for (const radio of radios) radio.checked = radio.value === this.settings.choice;
    const changed = () => {
      const choice = radios.find((radio) => radio.checked)?.value as Choice;
      this.settings = { choice, k: this.ks[Number(k.value)], delta: DELTAS[Number(delta.value)] };
      this.session.setHeads(headsOf(this.model, this.settings), this.settings.delta);
      this.settled();
    };
    for (const input of [k, delta, ...radios]) input.addEventListener("input", changed);
    this.question.onChange = () => this.remember();
    this.button("plain", () => this.write(null));
    const narrate = () => this.write(null, [], PROMPTS[0], this.narrator());
    this.button("narrate", narrate);
    onceInView(byId("stairs"), () => {
      if (!this.session.writing && this.scene.origin !== "own") narrate();
    });
    this.button("share", () => void this.share());
    this.button("again", () => this.repeat(this.turns));
    this.button("box", () => this.addBox());
    this.settled();
  }

  private button(id: string, act: () => void): void {
    const button = byId<HTMLButtonElement>(id);
    button.disabled = false;
    button.addEventListener("click", act);
  }

  /** Shows what the controls say. */
  private settled(): void {
    const { k, delta, choice } = this.settings;
    const count = headsOf(this.model, this.settings).length;
    const set = (id: string, text: string) => {
      byId(`${id}-value`).textContent = text;
      byId(id).setAttribute("aria-valuetext", text);
    };
    set("k", choice === "random" && count < k ? `${count} (no more were drawn)` : String(count));
    set("delta", strength(delta));
    byId<HTMLInputElement>("k").disabled = choice === "all";
    const share = ((100 * count) / (this.model.layers * this.model.heads)).toFixed(1);
    byId("heads-line").textContent =
      `${inWords(this.model, this.settings)}, ${share}% of ${this.model.name}. A row is a layer; the shade is the gaze score.`;
    this.tell();
    this.remember();
  }

  private addBox(): void {
    const { width, height } = this.scene.image;
    const shift = (0.04 * this.scene.boxes.length) % 0.3;
    const at = (share: number, side: number) => (share + shift) * side;
    this.show({
      ...this.scene,
      boxes: [...this.scene.boxes, [at(0.3, width), at(0.3, height), at(0.65, width), at(0.65, height)]],
    });
    this.stage.focus(this.scene.boxes.length);
  }

  /** Keeps the address up to date, so that it always shows the same again. */
  private remember(): void {
    const { origin, seed } = this.scene;
    const share = byId<HTMLButtonElement>("share");
    share.hidden = origin === "own";
    if (origin === "own") return;
    const { turns, settings } = this;
    history.replaceState(null, "", `#${write({ origin, seed, prompt: this.question.text, turns, ...settings })}`);
  }

  private async share(): Promise<void> {
    this.remember();
    const button = byId("share");
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The address bar has it";
    }
    setTimeout(() => (button.textContent = before), 1600);
  }
}

/** Calls once, when all of the element has come into view. */
function onceInView(element: Element, call: () => void): void {
  const watcher = new IntersectionObserver(
    ([{ isIntersecting }]) => {
      if (!isIntersecting) return;
      watcher.disconnect();
      call();
    },
    { threshold: 1 },
  );
  watcher.observe(element);
}
