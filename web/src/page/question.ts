/** The question: a field that grows with its text, and the study's questions to pick from. */
import { byId, el } from "./dom";

/** The study's questions; the first is asked at first. */
export const PROMPTS = [
  "Please describe what happens in each panel, in order.",
  "What is happening in this panel of the comic strip?",
  "What is the main action or event happening in this comic strip? Answer briefly.",
  "Describe this comic briefly.",
];

/** Asked of a picture that is no strip. */
export const OF_A_PICTURE = "What is the main object in this part of the image? Answer in a few words.";

export class Question {
  private readonly field = byId<HTMLTextAreaElement>("prompt");
  private readonly choice = byId<HTMLSelectElement>("prompts");

  /** Called when another question is to be asked. */
  onChange: () => void = () => undefined;

  constructor(first = PROMPTS[0]) {
    this.choice.append(...[...PROMPTS, OF_A_PICTURE].map((each) => el("option", {}, each)));
    this.set(first);
    this.field.addEventListener("input", () => this.fit());
    this.field.addEventListener("change", () => this.set(this.text));
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // a question is one line, however it wraps
      this.field.blur();
    });
    this.choice.addEventListener("change", () => {
      this.set(this.choice.value || this.text);
      this.choice.selectedIndex = 0;
    });
    new ResizeObserver(() => this.fit()).observe(this.field);
  }

  /** What is asked. */
  get text(): string {
    return this.field.value.replace(/\s+/g, " ").trim() || PROMPTS[0];
  }

  /** A question of the page's own that does not fit the picture gives way; one's own stays. */
  fitTo(strip: boolean): void {
    if (strip && this.text === OF_A_PICTURE) this.set(PROMPTS[0]);
    if (!strip && PROMPTS.includes(this.text)) this.set(OF_A_PICTURE);
  }

  private set(question: string): void {
    this.field.value = question;
    this.fit();
    this.onChange();
  }

  private fit(): void {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }
}
