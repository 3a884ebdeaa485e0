// ---- painting ----

let shape = null; // what is being drawn: {tool: "stroke" | "rectangle" | "lasso", value: 1 paints and 0 erases, points}

function begin(point, erase) {
  const kind = tool === "rectangle" || tool === "lasso" ? tool : "stroke";
  shape = { tool: kind, value: erase ? 0 : 1, points: [point] };
  if (kind === "stroke") strokeTo(point, point);
}

function extend(point) {
  const last = shape.points.at(-1);
  if (shape.tool === "stroke") {
    strokeTo(last, point);
    shape.points = [point];
  } else if (shape.tool === "rectangle") {
    shape.points = [shape.points[0], point];
  } else if (Math.hypot(point.x - last.x, point.y - last.y) * view.scale >= 1) {
    shape.points.push(point);
  }
  redraw();
}

function strokeTo(from, to) {
  const reach = brush / 2 + 1;
  mask.stroke(from, to, brush / 2, shape.value);
  redraw({
    box: {
      left: Math.min(from.x, to.x) - reach,
      top: Math.min(from.y, to.y) - reach,
      right: Math.max(from.x, to.x) + reach,
      bottom: Math.max(from.y, to.y) + reach,
    },
  });
}

function finish() {
  const { tool: kind, value: bit, points } = shape;
  shape = null;
  if (kind === "rectangle" && points.length > 1) mask.rectangle(points[0], points[1], bit);
  if (kind === "lasso" && points.length > 2) mask.polygon(points, bit);
  edit(words.painted, () => {});
}

function abort() {
  shape = null;
  redraw({ box: mask?.abort() });
}

// Does one step that can be undone.
function edit(said, change) {
  if (!picture) return;
  if (shape) finish();
  change();
  if (mask.commit()) changed(said);
  draw();
}

function changed(said) {
  complain("");
  told();
  announce(`${said}. ${find(".note").textContent}`);
  publish();
}

function undo() {
  if (shape) return abort();
  travel("undo");
}

function redo() {
  if (!shape) travel("redo");
}

function spreadBy(value) {
  const radius = clamp(Math.round(Number(spread.value)) || 1, 1, WIDEST_SPREAD);
  spread.value = radius;
  edit(value ? words.grown : words.shrunk, () => mask.spread(value, radius));
}

// ---- brush size: the slider's steps are even on a logarithmic scale ----

const largest = () => Math.max(2, WIDEST_BRUSH * Math.max(picture.width, picture.height));

function setBrush(size) {
  brush = clamp(Math.round(size), 1, Math.round(largest()));
  slider.value = (100 * Math.log(brush)) / Math.log(largest());
  slider.setAttribute("aria-valuetext", `${brush} px`);
  find(".size output").textContent = `${brush} px`;
  drawMarks();
}

function resizeBrush(factor) {
  const next = Math.round(brush * factor);
  setBrush(next === brush ? brush + Math.sign(factor - 1) : next);
}

function setTool(name) {
  if (shape) abort();
  tool = name;
  for (const node of element.querySelectorAll("[data-tool]")) {
    node.setAttribute("aria-pressed", node.dataset.tool === name);
  }
  root.classList.toggle("moving", name === "move");
  if (picture) announce(words[name]);
  if (picture) drawMarks();
}
