/** Starts the page: a strip at once, then the engine, then everything else. */
import type { ModelInfo } from "../engine/engine";
import { App } from "./app";
import { byId, el } from "./dom";
import { findEngine } from "./engines";
import { read, type Linked } from "./link";
import { Question } from "./question";
import { drawn, fromFile, fromGallery, gallery, type Scene } from "./scene";
import { Stage } from "./stage";

async function start(): Promise<void> {
  const linked = read(location.hash);
  const question = new Question(linked.prompt);
  const shelf = await gallery();
  const notices = { waiting: tellWaiting, refused: App.trouble };
  const { engine, where, draws } = await findEngine(notices);
  const scene = await firstScene(linked, shelf);
  const stage = new Stage(byId("stage"));
  stage.show(scene);
  const model = await engine.load(tellProgress);
  tellReady(model, where);
  const app = new App(engine, model, stage, question, scene, linked);
  document.addEventListener("keydown", (event) => app.key(event));
  pictures(app, shelf, draws);
}

type Shelf = Awaited<ReturnType<typeof gallery>>;

function firstScene({ origin, seed }: Linked, shelf: Shelf): Promise<Scene> {
  if (origin === "drawn" && seed !== undefined) return drawn(seed);
  const strip = shelf.strips.find((each) => each.seed === seed) ?? shelf.strips[0];
  return fromGallery(strip, shelf.url(strip));
}

/** The gallery, "draw me another" and pictures of one's own. */
function pictures(app: App, shelf: Shelf, draws: boolean): void {
  const show = (scene: Promise<Scene>) =>
    scene.then(
      (found) => {
        App.trouble("");
        app.show(found);
      },
      (error: Error) => App.trouble(error.message),
    );
  byId("gallery").append(
    ...shelf.strips.map((strip, i) =>
      el(
        "button",
        { type: "button", "aria-label": `Strip ${i + 1}: ${strip.captions[0]}`, onclick: () => show(fromGallery(strip, shelf.url(strip))) },
        el("img", { src: shelf.url(strip), alt: "", loading: "lazy", width: 1536, height: 256 }),
      ),
    ),
  );
  byId("another").hidden = !draws;
  byId("another").addEventListener("click", () => show(drawn(Math.floor(Math.random() * 1_000_000))));
  const file = byId<HTMLInputElement>("file");
  const take = (files: FileList | null | undefined) => files?.length && show(fromFile(files[0]));
  file.addEventListener("change", () => {
    take(file.files);
    file.value = "";
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer?.files);
  });
}

function tellProgress(share: number, what: string): void {
  byId("status").textContent = `${what} …`;
  byId<HTMLProgressElement>("progress").value = share;
}

function tellWaiting(ahead: number): void {
  byId("status").textContent = ahead ? `Waiting: ${ahead} others are ahead.` : "Waiting: you are next.";
}

function tellReady(model: ModelInfo, where: string): void {
  byId("progress").hidden = true;
  byId("stage").removeAttribute("aria-busy");
  byId("model-line").textContent = `${model.name}, ${model.layers} layers of ${model.heads} heads, running ${where}`;
}

start().catch((error: Error) => {
  byId("progress").hidden = true;
  byId("status").textContent = "The model is not running.";
  App.trouble(error.message);
});
