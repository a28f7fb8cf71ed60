"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [width, height] = data.size;
  const count = data.boxes.length;
  const raw = Uint8Array.from(atob(data.attention), (c) => c.charCodeAt(0));
  const attention = new Uint16Array(raw.buffer); // little-endian, as every browser's machine is
  const sinks = new Set(data.sinks);
  const canvas = document.getElementById("map");
  const told = document.getElementById("told");
  const most = document.getElementById("most");
  const dropping = document.getElementById("sinks");
  const ownScale = document.getElementById("own");
  const spans = [...document.querySelectorAll(".span")];
  if (width / height > 2.2) document.querySelector("main").classList.add("wide");

  // the map is drawn in cells, fine enough for the boxes of the tokens
  const scale = Math.min(1, 480 / Math.max(width, height));
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d", { willReadFrequently: true });

  const leftOut = (token) => sinks.has(token) && Boolean(dropping && dropping.checked);

  /** Mean attention per token over steps, in shares of 1. */
  function values(first, stop) {
    const sums = new Float64Array(count);
    for (let step = first; step < stop; step++) {
      for (let token = 0; token < count; token++) sums[token] += attention[step * count + token];
    }
    const factor = data.most / 65535 / (stop - first);
    return sums.map((sum, token) => (leftOut(token) ? 0 : sum * factor));
  }

  /** Attention per cell: each token's mass is spread evenly over its box. */
  function density(masses) {
    const cells = new Float64Array(columns * rows);
    const [sx, sy] = [columns / width, rows / height];
    data.boxes.forEach((box, token) => {
      if (!box || masses[token] === 0) return;
      const [x0, y0, x1, y1] = [box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy];
      const area = (x1 - x0) * (y1 - y0);
      if (!(area > 0)) return;
      for (let y = Math.max(0, Math.floor(y0)); y < Math.min(rows, Math.ceil(y1)); y++) {
        const down = Math.min(y + 1, y1) - Math.max(y, y0);
        for (let x = Math.max(0, Math.floor(x0)); x < Math.min(columns, Math.ceil(x1)); x++) {
          const across = Math.min(x + 1, x1) - Math.max(x, x0);
          cells[y * columns + x] += (masses[token] / area) * across * down;
        }
      }
    });
    return cells;
  }

  const ramp = [[0, 20, 11, 53], [0.15, 66, 10, 104], [0.45, 188, 55, 84], [0.75, 249, 142, 9], [1, 252, 255, 164]];
  function colour(v) {
    let i = 1;
    while (i < ramp.length - 1 && v > ramp[i][0]) i++;
    const [a, b] = [ramp[i - 1], ramp[i]];
    const t = (v - a[0]) / (b[0] - a[0]);
    return [1, 2, 3].map((k) => a[k] + (b[k] - a[k]) * t);
  }

  function paint(cells, top) {
    const picture = context.createImageData(columns, rows);
    cells.forEach((cell, i) => {
      const v = top > 0 ? Math.min(1, cell / top) : 0;
      const [r, g, b] = colour(v);
      picture.data.set([r, g, b, 255 * Math.min(0.82, 0.28 + 0.9 * Math.sqrt(v))], 4 * i);
    });
    context.putImageData(picture, 0, 0);
    if (!data.outline) return;
    context.strokeStyle = "#3ddcff";
    context.lineWidth = 1.5;
    for (const token of sinks) {
      const box = data.boxes[token];
      if (!box || leftOut(token)) continue;
      const [sx, sy] = [columns / width, rows / height];
      context.strokeRect(box[0] * sx + 1, box[1] * sy + 1, (box[2] - box[0]) * sx - 2, (box[3] - box[1]) * sy - 2);
    }
  }

  const highest = (cells) => cells.reduce((a, b) => Math.max(a, b), 0);
  let shared = 0;
  function measure() {
    shared = Math.max(0, ...data.steps.map(([a, b]) => highest(density(values(a, b)))));
  }

  const percent = (share) => (share > 0 && share < 0.005 ? "under 1%" : `${Math.round(100 * share)}%`);

  /** Where most of it lies, in words: for whoever cannot see the map. */
  function place(cells) {
    const i = cells.indexOf(highest(cells));
    const x = ((i % columns) + 0.5) / columns;
    const y = (Math.floor(i / columns) + 0.5) / rows;
    const down = ["top", "middle", "bottom"][Math.min(2, Math.floor(3 * y))];
    const across = ["left", "centre", "right"][Math.min(2, Math.floor(3 * x))];
    if (width / height > 3) return `${Math.round(100 * x)}% of the way from left to right`;
    return down === "middle" && across === "centre" ? "in the middle" : `at the ${down} ${across}`;
  }

  function show(number) {
    const [first, stop] = number === null ? [0, data.written] : data.steps[number];
    const masses = values(first, stop);
    const cells = density(masses);
    const top = ownScale.checked || number === null ? highest(cells) : shared;
    paint(cells, top);
    most.textContent = ownScale.checked || number === null ? "most" : "most of any phrase";
    const total = masses.reduce((a, b) => a + b, 0);
    told.textContent = "";
    const name = document.createElement("b");
    name.textContent = number === null ? "The whole text" : `“${spans[number].textContent.trim()}”`;
    let rest = `: ${percent(total)} of the heads’ attention goes to the picture`;
    if (total > 0 && data.regions.length) {
      const shares = data.regions.map((region) => {
        const own = region.tokens.reduce((sum, token) => sum + masses[token], 0);
        return [region.name, own / total];
      });
      shares.sort((a, b) => b[1] - a[1]);
      const first = shares.slice(0, 3).filter(([, share], i) => i === 0 || share >= 0.01);
      rest += `; of that ${first.map(([name, share]) => `${percent(share)} to ${name}`).join(", ")}`;
    } else if (total > 0) rest += `, most of it ${place(cells)}`;
    told.append(name, `${rest}.`);
    spans.forEach((span, i) => span.classList.toggle("on", i === number));
  }

  let kept = null;
  function keep(number) {
    kept = kept === number ? null : number;
    spans.forEach((span, i) => span.setAttribute("aria-pressed", String(i === kept)));
    show(kept === null ? number : kept);
  }
  spans.forEach((span, number) => {
    span.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(number));
    span.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(kept));
    span.addEventListener("focus", () => show(number));
    span.addEventListener("blur", () => show(kept));
    span.addEventListener("click", () => keep(number));
    span.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Enter" || event.key === " ") keep(number);
      else if (step) (spans[number + step] || span).focus();
      else return;
      event.preventDefault();
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (kept !== null) keep(kept);
    show(null);
  });
  for (const box of [dropping, ownScale]) {
    if (box) box.addEventListener("change", () => { measure(); show(kept); });
  }
  measure();
  show(null);
})();
