/** The text: words tinted by the region that steers them, and the texts before. */
import { el, hue } from "./dom";
import type { Piece } from "./session";

const KEPT = 4;

export class Story {
  private current: HTMLParagraphElement | null = null;
  private run: HTMLSpanElement | null = null;
  private written = 0;

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
    this.written = 0;
    for (const old of [...this.root.querySelectorAll("p")]) if (!old.textContent) old.remove();
    this.root.prepend(this.current);
    while (this.root.children.length > KEPT) this.root.lastElementChild?.remove();
    this.log.replaceChildren();
  }

  /** Adds a token in the colour of its region, and to the log when that changes. */
  add(piece: Piece): void {
    const region = piece.region === null ? "" : String(piece.region);
    if (!this.run || this.run.dataset.region !== region) {
      this.run = el("span", { "data-region": region });
      this.run.style.setProperty("--hue", hue(piece.region));
      this.current?.append(this.run);
      this.note(this.written, piece.region);
    }
    this.run.append(el("span", { class: "token" }, piece.text));
    this.written++;
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

  private note(token: number, region: number | null): void {
    const free = token === 0 ? "unsteered" : "let go";
    const text = region === null ? free : String(region);
    const entry = el("li", { "data-token": token, "data-region": region ?? "" }, text);
    entry.title = `from token ${token + 1} on`;
    entry.style.setProperty("--hue", hue(region));
    this.log.append(entry);
  }
}
