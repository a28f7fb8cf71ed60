// Draws the picture and the box, sends a new box when one was drawn, shows the answer.
function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "gazeheads-box";
  const stage = document.createElement("div");
  stage.className = "gazeheads-stage";
  const image = document.createElement("img");
  image.alt = "Picture: draw a box on it";
  image.draggable = false;
  const frame = document.createElement("div");
  frame.className = "gazeheads-frame";
  stage.append(image, frame);
  const question = document.createElement("input");
  question.type = "text";
  question.setAttribute("aria-label", "Question");
  const answer = document.createElement("p");
  answer.className = "gazeheads-answer";
  answer.setAttribute("aria-live", "polite");
  const plain = document.createElement("p");
  plain.className = "gazeheads-plain";
  const note = document.createElement("p");
  note.className = "gazeheads-plain";
  root.append(stage, question, answer, plain, note);
  el.append(root);

  let start = null;

  function place(box) {
    const [width, height] = model.get("size");
    frame.hidden = box.length !== 4;
    if (frame.hidden) return;
    frame.style.left = `${(100 * box[0]) / width}%`;
    frame.style.top = `${(100 * box[1]) / height}%`;
    frame.style.width = `${(100 * (box[2] - box[0])) / width}%`;
    frame.style.height = `${(100 * (box[3] - box[1])) / height}%`;
  }

  function show() {
    image.src = model.get("picture");
    question.value = model.get("question");
    place(model.get("box"));
    const problem = model.get("problem");
    answer.textContent = problem || model.get("answer") || "Draw a box on the picture.";
    answer.classList.toggle("gazeheads-problem", Boolean(problem));
    plain.textContent = model.get("plain") ? `Unsteered: ${model.get("plain")}` : "";
    note.textContent = model.get("note");
  }

  function at(event) {
    const [width, height] = model.get("size");
    const area = image.getBoundingClientRect();
    const x = ((event.clientX - area.left) / area.width) * width;
    const y = ((event.clientY - area.top) / area.height) * height;
    return [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))].map(Math.round);
  }

  function drawn(end) {
    const [x0, x1] = [start[0], end[0]].sort((a, b) => a - b);
    const [y0, y1] = [start[1], end[1]].sort((a, b) => a - b);
    return [x0, y0, x1, y1];
  }

  stage.addEventListener("pointerdown", (event) => {
    start = at(event);
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (start) place(drawn(at(event)));
  });
  stage.addEventListener("pointerup", (event) => {
    if (!start) return;
    const box = drawn(at(event));
    start = null;
    if (box[2] > box[0] && box[3] > box[1]) {
      answer.textContent = "…";
      model.set("box", box);
      model.save_changes();
    } else {
      place(model.get("box"));
    }
  });
  stage.addEventListener("pointercancel", () => {
    start = null;
    place(model.get("box"));
  });
  question.addEventListener("change", () => {
    model.set("question", question.value);
    model.save_changes();
  });
  for (const name of ["picture", "box", "question", "answer", "plain", "problem", "note"]) {
    model.on(`change:${name}`, show);
  }
  show();
}

export default { render };
