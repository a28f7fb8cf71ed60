/** The text: words tinted by the region that steers them, and the texts before. */
import { el, hue } from "./dom";
import type { Piece, Turn } from "./session";

const KEPT = 4;

export class Story {
  private current: HTMLParagraphElement | null = null;
  private run: HTMLSpanElement | null = null;

  /**
   * @param root holds the paragraphs, latest first.
   * @param log says in words how the text was steered.
   * @param herald is read out by screen readers: whole texts, not every token.
   */
  constructor(
    private readonly root: HTMLElement,
    private readonly log: HTMLElement,
    private readonly herald: HTMLElement,
  ) {}

  /** A new text; the one before moves down. */
  begin(): void {
    this.current?.classList.remove("writing");
    this.current = el("p", { class: "text writing" });
    this.run = null;
    for (const old of [...this.root.querySelectorAll("p")]) if (!old.textContent) old.remove();
    this.root.prepend(this.current);
    while (this.root.children.length > KEPT) this.root.lastElementChild?.remove();
    this.log.replaceChildren();
  }

  /** Adds a token in the colour of its region. */
  add(piece: Piece): void {
    const region = piece.region === null ? "" : String(piece.region);
    if (!this.run || this.run.dataset.region !== region) {
      this.run = el("span", { "data-region": region });
      this.run.style.setProperty("--hue", hue(piece.region));
      this.current?.append(this.run);
    }
    this.run.append(el("span", { class: "token" }, piece.text));
  }

  /** Notes a turn of the heads in the log. */
  turn(turn: Turn): void {
    const last = this.log.lastElementChild as HTMLElement | null;
    if (last?.dataset.token === String(turn.token)) last.remove();
    const where = turn.region === null ? "let go" : String(turn.region);
    const text = turn.token === 0 && turn.region === null ? "unsteered" : where;
    const entry = el("li", { "data-token": turn.token, "data-region": turn.region ?? "" }, text);
    entry.title = `before token ${turn.token + 1}`;
    entry.style.setProperty("--hue", hue(turn.region));
    this.log.append(entry);
  }

  /** The text is over. */
  end(): void {
    this.current?.classList.remove("writing");
    if (this.current && !this.current.textContent?.trim()) this.current.remove();
    else this.herald.textContent = this.current?.textContent ?? "";
  }

  /** Forgets everything. */
  clear(): void {
    this.current = this.run = null;
    this.root.replaceChildren();
    this.log.replaceChildren();
  }
}
