// The viewer of samples: filters, one answer at a time, arrow keys. Its data is made by samples.py.
(() => {
  "use strict";
  const data = document.getElementById("samples-data");
  if (!data) return;
  const { groups, strips, layouts, heads, texts, kinds, verdicts, rows, colours } = JSON.parse(data.textContent);
  const GROUP = 0, STRIP = 1, HEADS = 2, TARGET = 3, TEXT = 4, KIND = 5, VERDICT = 6, BESIDE = 7;
  const MARKS = { hit: "✓", part: "(✓)", miss: "✗", same: "=" };
  const viewer = document.querySelector("#samples .viewer");
  const find = (selector) => viewer.querySelector(selector);
  const sample = find(".sample");
  const columns = [
    ["group", GROUP, (value) => groups[value][0]],
    ["strip", STRIP, (value) => strips[value][0]],
    ["target", TARGET, (value) => (value ? `panel ${value}` : "nothing")],
    ["heads", HEADS, (value) => heads[value]],
    ["kind", KIND, (value) => kinds[value]],
  ];
  const chosen = { group: "0", strip: "", target: "", heads: "", kind: "" };
  let shown = [];
  let at = 0;

  const element = (name, className, text) => {
    const made = document.createElement(name);
    made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // every filter offers what the others leave, and how many of it
  const fits = (row, but) => columns.every(([name, column]) =>
    name === but || chosen[name] === "" || row[column] === Number(chosen[name]));
  const offer = () => {
    for (const [name, column, told] of columns) {
      const counts = new Map();
      for (const row of rows) if (fits(row, name)) counts.set(row[column], (counts.get(row[column]) || 0) + 1);
      if (chosen[name] !== "" && !counts.has(Number(chosen[name]))) counts.set(Number(chosen[name]), 0);
      const options = [...counts].map(([value, count]) => new Option(`${told(value)} (${count})`, value));
      if (name === "target") options.sort((a, b) => a.value - b.value);
      if (name !== "group") options.unshift(new Option("all", ""));
      const select = find(`select[name=${name}]`);
      select.replaceChildren(...options);
      select.value = chosen[name];
    }
  };

  const choose = (kept) => {
    shown = rows.filter((row) => fits(row));
    at = Math.max(0, shown.indexOf(kept));
    offer();
    show();
  };

  const card = (number, css, caption, target) => {
    const made = element("div", `card${number === target ? " looked-at" : ""}`);
    const crop = element("div", "crop");
    crop.setAttribute("role", "img");
    crop.setAttribute("aria-label", `Panel ${number}${caption ? `: ${caption}` : ""}`);
    crop.style.cssText = css;
    const below = element("div", "below");
    const label = element("p", "number");
    const dot = element("span", "dot");
    dot.style.setProperty("--c", colours[number - 1]);
    label.append(dot, number === target ? `panel ${number}, looked at` : `panel ${number}`);
    below.append(label);
    if (caption) below.append(element("p", "told", caption));
    made.append(crop, below);
    return made;
  };

  const show = () => {
    const row = shown[at];
    find("output").textContent = row ? `${at + 1} of ${shown.length}` : "no such answer";
    find(".back").disabled = at === 0;
    find(".next").disabled = at + 1 >= shown.length;
    sample.hidden = !row;
    if (!row) return;
    const [name, picture, layout, captions] = strips[row[STRIP]];
    const [told, mark, colour] = verdicts[row[VERDICT]];
    const [, judge, prompt] = groups[row[GROUP]];
    sample.className = `strip sample ${picture}`;
    sample.style.setProperty("--n", layouts[layout].length);
    find(".question").textContent = prompt ? `“${prompt}”` : "";
    find(".name").textContent = name;
    find(".cards").replaceChildren(
      ...layouts[layout].map((css, i) => card(i + 1, css, captions[i], row[TARGET])),
    );
    find(".beside").hidden = !row[TARGET];
    find(".beside .said").textContent = texts[row[BESIDE]];
    find(".answer .who").textContent =
      row[TARGET] ? `${heads[row[HEADS]]}, pointed at panel ${row[TARGET]}` : heads[row[HEADS]];
    const said = find(".answer .said");
    said.textContent = texts[row[TEXT]] || "nothing";
    said.style.cssText = colour ? `--c:${colour}` : "";
    const sign = element("span", `mark ${mark}`, MARKS[mark] || "");
    find(".answer .told").replaceChildren(sign, ` ${told} (judge: ${judge})`);
  };

  const turn = (by) => {
    at = Math.min(Math.max(0, at + by), Math.max(0, shown.length - 1));
    show();
  };
  find(".back").addEventListener("click", () => turn(-1));
  find(".next").addEventListener("click", () => turn(1));
  viewer.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.altKey || event.ctrlKey || event.metaKey) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    turn(by);
  });
  viewer.addEventListener("change", (event) => {
    chosen[event.target.name] = event.target.value;
    if (event.target.name === "group") for (const name of ["strip", "target", "heads", "kind"]) chosen[name] = "";
    choose(shown[at]);
  });
  viewer.hidden = false;
  choose(rows[0]);
})();
