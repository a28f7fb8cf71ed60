// Draws the picture and the place chosen on it: a drawn box, a panel, or panels in turn. Sends what is
// chosen, shows the answer.
function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "gazeheads-box";
  const stage = document.createElement("div");
  stage.className = "gazeheads-stage";
  const image = document.createElement("img");
  const whole = model.get("panels").length > 0;
  image.alt = whole ? "Strip: choose a panel, or draw a box on it" : "Picture: draw a box on it";
  image.draggable = false;
  const frame = document.createElement("div");
  frame.className = "gazeheads-frame";
  stage.append(image, frame);
  const choice = document.createElement("div");
  choice.className = "gazeheads-choice";
  choice.hidden = !whole;
  const buttons = model.get("panels").map((_, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `panel ${i + 1}`;
    button.addEventListener("click", () => choose(i + 1));
    choice.append(button);
    return button;
  });
  const inTurn = document.createElement("input");
  inTurn.type = "checkbox";
  const label = document.createElement("label");
  const order = document.createElement("span");
  order.className = "gazeheads-order";
  label.append(inTurn, " one after the other ");
  choice.append(label, order);
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
  root.append(stage, choice, question, answer, plain, note);
  el.append(root);

  let start = null;

  // Panels chosen so far; in turn each choice is put at the end.
  function choose(number) {
    answer.textContent = "…";
    if (inTurn.checked) {
      model.set("schedule", [...model.get("schedule"), number]);
    } else {
      model.set("panel", number);
    }
    model.save_changes();
  }

  function panelAt([x, y]) {
    return 1 + model.get("panels").findIndex(
      ([x0, y0, x1, y1]) => x0 <= x && x < x1 && y0 <= y && y < y1);
  }

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
    const chosen = model.get("panel");
    const turns = model.get("schedule");
    place(chosen ? model.get("panels")[chosen - 1] ?? [] : model.get("box"));
    buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", String(chosen === i + 1 || turns.includes(i + 1)));
    });
    if (turns.length) inTurn.checked = true;
    order.textContent = turns.join(" → ");
    const problem = model.get("problem");
    answer.textContent = problem || model.get("answer") || (whole ? "Choose a panel, or draw a box." : "Draw a box on the picture.");
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
    const end = at(event);
    const box = drawn(end);
    start = null;
    if (box[2] > box[0] && box[3] > box[1]) {
      answer.textContent = "…";
      model.set("box", box);
      model.save_changes();
    } else if (panelAt(end)) {
      choose(panelAt(end)); // a click is no box
    } else {
      show();
    }
  });
  stage.addEventListener("pointercancel", () => {
    start = null;
    show();
  });
  inTurn.addEventListener("change", () => {
    if (inTurn.checked || !model.get("schedule").length) return;
    model.set("schedule", []);
    model.save_changes();
  });
  question.addEventListener("change", () => {
    model.set("question", question.value);
    model.save_changes();
  });
  for (const name of ["picture", "box", "panel", "schedule", "question", "answer", "plain", "problem", "note"]) {
    model.on(`change:${name}`, show);
  }
  show();
}

export default { render };
