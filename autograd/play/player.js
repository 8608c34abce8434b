"use strict";

// The story of a tape as a page: the graph on the left, the step on the right, the controls below.
// story.nodes, .groups, .arrays and .sources are described in page.py; an event is a step.

const story = JSON.parse(document.getElementById("story").textContent);
const { nodes, groups, events, arrays, sources } = story;
const WIDTH = 172, HEIGHT = 50, ROW = 88, COLUMN = 190, MARGIN = 28, MOST = 40;  // MOST: nodes shown unfolded at first
const TYPE = 17, SMALLEST = 0.65, LETTERS = 13;  // of a label; SMALLEST: the scale at which a graph is still read from afar

const state = { at: 0, folded: new Set(), type: TYPE, timer: null };

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "text", "path"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// ---- the layers of the model: every node knows those around it, innermost first

const around = nodes.map(node => {
  const path = [];
  for (let g = node.group; g >= 0; g = groups[g][1]) path.push(g);
  return path;
});
const members = groups.map((_, g) => nodes.flatMap((_, i) => (around[i].includes(g) ? [i] : [])));
const last = members.map(list => list.filter(i => nodes[i].op).pop() ?? list[list.length - 1]);
const depth = g => (groups[g][1] < 0 ? 0 : 1 + depth(groups[g][1]));

/** The group in which a node is hidden, the outermost folded one; -1 if it is seen. */
function hiding(i) {
  const folded = around[i].filter(g => state.folded.has(g));
  return folded.length ? folded[folded.length - 1] : -1;
}

/** The node that is drawn for node i: the last one of the layer in which it is hidden, or itself. */
function drawn(i) {
  const g = hiding(i);
  return g < 0 ? i : last[g];
}

/** A layer's name in the layer around it; of the outermost one, its class. */
const layerName = g => groups[g][0].split(" ")[0];

function foldTo(level) {
  state.folded = new Set(groups.map((_, g) => g).filter(g => depth(g) >= level && members[g].length > 1));
}

function foldUntilItFits() {
  const deepest = Math.max(0, ...groups.map((_, g) => depth(g) + 1));
  for (let level = deepest; level >= 0; level--) {
    foldTo(level);
    if (new Set(nodes.map((_, i) => drawn(i))).size <= MOST) return;
  }
}

// ---- what is known after the step `at`

function known(at) {
  const seen = { valued: new Set(), gradient: new Map(), made: new Set() };
  for (const event of events.slice(0, at + 1)) {
    if (event.kind === "forward") seen.valued.add(event.node);
    if (event.total !== null) seen.gradient.set(event.node, event.total);
    for (const [parent, array] of event.kind === "rule" ? event.gives : []) {
      if (!seen.gradient.has(parent)) seen.gradient.set(parent, array);
    }
    for (const i of event.made) { seen.made.add(i); seen.valued.add(i); }
  }
  return seen;
}

// ---- the graph

/** x in columns, without the gaps that folding leaves: no two neighbours of these xs are more than a column apart. */
function narrowed(xs) {
  const marks = [...new Set(xs)].sort((a, b) => a - b), moved = [0];
  for (let k = 1; k < marks.length; k++) moved.push(moved[k - 1] + Math.min(1, marks[k] - marks[k - 1]));
  return x => {
    const k = marks.findLastIndex(mark => mark <= x);
    if (k < 0) return Math.max(x - marks[0], -0.5);
    return moved[k] + Math.min(x - marks[k], k + 1 < marks.length ? moved[k + 1] - moved[k] : 0.5);
  };
}

/** Where every visible node is drawn: the middle of its upper side. */
function places(visible) {
  const spots = new Map();
  let left = MARGIN;
  for (const tape of [1, 2]) {
    const own = visible.filter(i => nodes[i].tape === tape);
    if (!own.length) continue;
    const layers = [...new Set(own.map(i => nodes[i].layer))].sort((a, b) => a - b);
    const across = narrowed(own.map(i => nodes[i].x)), start = left + WIDTH / 2;
    const spot = (x, layer) => [start + across(x) * COLUMN, MARGIN + layers.indexOf(layer) * ROW];
    for (const i of own) spots.set(i, spot(nodes[i].x, nodes[i].layer));
    spots.set(`tape ${tape}`, { layers, spot });
    left = Math.max(...own.map(i => spots.get(i)[0])) + WIDTH / 2 + 2 * MARGIN;
  }
  return spots;
}

/** A smooth line downwards through points. */
function curve(points) {
  let d = `M${points[0]}`;
  for (let k = 1; k < points.length; k++) {
    const [[x1, y1], [x2, y2]] = [points[k - 1], points[k]], middle = (y1 + y2) / 2;
    d += `C${x1},${middle} ${x2},${middle} ${x2},${y2}`;
  }
  return d;
}

function drawGraph() {
  const event = events[state.at], seen = known(state.at);
  const exists = i => nodes[i].tape === 1 || seen.made.has(i);
  const visible = [...new Set(nodes.flatMap((_, i) => (exists(i) ? [drawn(i)] : [])))].sort((a, b) => a - b);
  const spots = places(visible), targets = new Set(event.gives.map(([parent]) => drawn(parent)));
  const svg = make("svg"), edges = new Map();
  nodes.forEach((node, i) => {
    for (const [parent, route] of exists(i) ? node.edges : []) {
      const ends = [drawn(parent), drawn(i)];
      const forth = event.kind === "forward" && event.node === i;
      const back = event.kind === "rule" && event.node === i && event.gives.some(([p]) => p === parent);
      const across = nodes[parent].tape !== node.tape;
      if (ends[0] === ends[1] || (across && !event.made.includes(i)) || !spots.has(ends[0])) continue;
      const whole = ends[0] === parent && ends[1] === i && !across;
      const old = edges.get(ends.join());
      edges.set(ends.join(), { ends, route: whole ? route : [], across, forth: forth || old?.forth, back: back || old?.back });
    }
  });
  for (const { ends: [a, b], route, across, forth, back } of edges.values()) {
    const [[x1, y1], [x2, y2]] = [spots.get(a), spots.get(b)], { layers, spot } = spots.get(`tape ${nodes[b].tape}`);
    const through = route.filter(([, layer]) => layers.includes(layer)).map(([x, layer]) => {
      const [along, down] = spot(x, layer);
      return [along, down + HEIGHT / 2];
    });
    const kind = `edge${forth ? " forth" : ""}${back ? " back" : ""}${across ? " across" : ""}`;
    svg.append(make("path", { class: kind, d: curve([[x1, y1 + HEIGHT], ...through, [x2, y2]]) }));
  }
  drawFrames(svg, visible, spots);
  for (const i of visible) {
    const node = nodes[i], g = hiding(i), all = g < 0 ? [i] : members[g], [x, y] = spots.get(i);
    const kind = ["node", node.op ? "op" : "leaf"];
    if (g >= 0) kind.push("folded");
    if (all.some(j => seen.valued.has(j))) kind.push("valued");
    if (seen.gradient.has(i)) kind.push("graded");
    if (targets.has(i)) kind.push("target");
    if (all.includes(event.node)) kind.push("now");
    const [label, below] = g < 0 ? [node.name, shapeText(node.shape)] : [`▸ ${layerName(g)}`, groups[g][0].split(" ").pop()];
    svg.append(make("g", {
      class: kind.join(" "), "data-node": i, transform: `translate(${x - WIDTH / 2},${y})`,
      onclick: () => (g < 0 ? visit(i) : unfold(g)),
    },
    make("rect", { width: WIDTH, height: HEIGHT, rx: 6 }),
    make("rect", { class: "mark value", x: 9, y: 10, width: 4, height: HEIGHT - 20 }),
    make("rect", { class: "mark grad", x: WIDTH - 13, y: 10, width: 4, height: HEIGHT - 20 }),
    make("text", { x: WIDTH / 2, y: 21 }, shortened(label)),
    make("text", { x: WIDTH / 2, y: 40, class: "shape" }, below)));
  }
  const ends = visible.map(i => spots.get(i));
  const width = Math.max(...ends.map(([x]) => x)) + WIDTH / 2 + MARGIN;
  const height = Math.max(...ends.map(([, y]) => y)) + HEIGHT + MARGIN;
  const pane = document.getElementById("graph"), { scrollLeft, scrollTop } = pane;
  // A little smaller, where that shows the whole width; otherwise as large as the type.
  const fit = (pane.clientWidth - 16) / width, scale = fit < 1 && fit > SMALLEST ? fit : 1;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width * scale * state.type / TYPE);
  svg.setAttribute("height", height * scale * state.type / TYPE);
  pane.replaceChildren(svg);
  pane.scrollTo(scrollLeft, scrollTop);
  svg.querySelector(".now")?.scrollIntoView({ block: "center", inline: "center" });
}

/** A name that fits a node: the layers it stands in are left out one by one, as the frames show them. */
function shortened(name) {
  const parts = name.split(".");
  while (parts.length > 1 && parts.join(".").length > LETTERS) parts.shift();
  const end = parts.join(".");
  return end.length > LETTERS ? `…${end.slice(1 - LETTERS)}` : end;
}

/** A dotted frame around every layer that is unfolded; its name folds it. */
function drawFrames(svg, visible, spots) {
  groups.forEach((_, g) => {
    const inside = visible.filter(i => around[i].includes(g) && nodes[i].op);
    if (inside.length < 2 || state.folded.has(g)) return;
    const [xs, ys] = [0, 1].map(axis => inside.map(i => spots.get(i)[axis]));
    const pad = Math.max(4, 18 - 5 * depth(g)), left = Math.min(...xs) - WIDTH / 2 - pad, top = Math.min(...ys) - pad;
    const width = Math.max(...xs) + WIDTH / 2 + pad - left, height = Math.max(...ys) + HEIGHT + pad - top;
    svg.prepend(make("rect", { class: "frame", x: left, y: top, width, height, rx: 8 }));
    svg.append(make("text", { class: "layer", x: left + 6, y: top - 3, onclick: () => fold(g) }, `▾ ${layerName(g)}`));
  });
}

function fold(g) { state.folded.add(g); show(); }

function unfold(g) { state.folded.delete(g); show(); }

/** Go to the step of a node: its rule in the backward half, else its forward. */
function visit(i) {
  const kind = events[state.at].kind === "forward" ? "forward" : "rule";
  const found = events.findIndex(event => event.node === i && event.kind === kind);
  go(found >= 0 ? found : events.findIndex(event => event.node === i));
}

// ---- the step

const shapeText = shape => (shape.length ? `(${shape.join(", ")}${shape.length === 1 ? "," : ""})` : "()");

function heat(value, most) {
  const share = Math.min(1, Math.abs(value) / (most || 1));
  return `rgba(${value < 0 ? "37, 99, 201" : "214, 72, 11"}, ${(0.8 * share).toFixed(3)})`;
}

const plain = value => (typeof value === "number" ? String(value).replace("-", "−") : value.replace("-", "−"));

function map(title, kind, number, note = "") {
  const box = make("figure", { class: `map ${kind}`, style: "margin: 0" }, make("h3", {}, title));
  if (number === null || number === undefined) {
    box.append(make("p", {}, "not kept: no rule needs it. Record inside debug() to see it."));
    return box;
  }
  const [shape, rows, sampled] = arrays[number], columns = rows[0]?.length ?? 0;
  const finite = rows.flat().filter(Number.isFinite), most = Math.max(...finite.map(Math.abs), 0);
  const caption = make("p", {}, `${shapeText(shape)}${sampled ? `, ${rows.length} × ${columns} of its numbers` : ""}${note}`);
  if (columns <= 10 && rows.length <= 12) {
    const cells = row => row.map(v => make("td", { style: `background: ${heat(v, most)}` }, plain(v)));
    box.append(make("table", {}, ...rows.map(row => make("tr", {}, ...cells(row)))));
  } else {
    const canvas = make("canvas", { width: columns, height: rows.length }), pen = canvas.getContext("2d");
    const scale = Math.max(2, Math.min(14, 420 / columns, 300 / rows.length));
    canvas.style.width = `${columns * scale}px`;
    rows.forEach((row, r) => row.forEach((v, c) => { pen.fillStyle = heat(v, most); pen.fillRect(c, r, 1, 1); }));
    const range = `${plain(Math.min(...finite))} … ${plain(Math.max(...finite))}`, reading = make("p", {}, range);
    canvas.addEventListener("mousemove", e => {
      const [r, c] = [[e.offsetY, rows.length, canvas.clientHeight], [e.offsetX, columns, canvas.clientWidth]]
        .map(([at, n, size]) => Math.max(0, Math.min(n - 1, Math.floor(at / size * n))));
      reading.textContent = `row ${r}, column ${c}: ${plain(rows[r][c])}`;
    });
    canvas.addEventListener("mouseleave", () => { reading.textContent = range; });
    box.append(canvas, reading);
  }
  box.append(caption);
  return box;
}

const name = i => (nodes[i].op ? `${nodes[i].name} (${nodes[i].step})` : nodes[i].name);

function inputMaps(node) {
  return node.inputs.map(([label, parent, constant]) => (parent < 0
    ? constant === null ? null : map(`${label} (constant)`, "value", constant)
    : map(`${label} = ${name(parent)}`, "value", nodes[parent].value))).filter(Boolean);
}

function drawStep() {
  const event = events[state.at], node = nodes[event.node], pane = document.getElementById("step");
  const backward = event.kind !== "forward", layers = around[event.node].map(g => groups[g][0]).reverse();
  const half = make("b", {}, backward ? "backward" : "forward");
  const title = { forward: node.op ?? node.name, seed: `g, the gradient of ${node.name} itself`, rule: `the rule of ${node.name}`,
    add: `${name(event.node)}: gradients add up` }[event.kind];
  pane.replaceChildren(make("p", { class: "where" }, half, layers.length ? ` · in ${layers.join(" › ")}` : ""),
    make("h2", {}, title, node.op && !["seed", "add"].includes(event.kind) ? ` ${shapeText(node.shape)}` : ""));
  const maps = make("div", { class: "maps" });
  if (event.kind === "add") {
    maps.append(map("so far", "gradient", event.before), make("span", { class: "sign" }, "+"),
      map("from this use", "gradient", event.gives[0][1]), make("span", { class: "sign" }, "="), map("sum", "gradient", event.total));
    pane.append(make("p", {}, "It is used more than once. The gradients of its uses are summed: that is the chain rule."));
  } else if (event.kind === "seed") {
    maps.append(map("g", "gradient", event.total));
  } else if (!node.op) {
    pane.append(make("p", {}, "A leaf: its value is given, and its gradient is wanted."));
    maps.append(map(node.name, "value", node.value));
  } else {
    const formula = make("div", { class: "formula" });
    node.mathematics.forEach((line, k) => {  // the formula, and the lines of its gradient
      formula.append(make("div", { class: (k > 0) === backward ? "lit" : "" }));
      formula.lastChild.innerHTML = line;
    });
    pane.append(formula);
    if (event.kind === "forward") {
      maps.append(...inputMaps(node), make("span", { class: "sign" }, "→"), map("y", "value", node.value));
    } else {
      maps.append(map("g = ∂L/∂y", "gradient", known(state.at).gradient.get(event.node)), make("span", { class: "sign" }, "→"));
      for (const [parent, gradient] of event.gives) {
        const label = node.inputs.find(([, p]) => p === parent)?.[0] ?? "x";
        const note = event.summed.includes(parent) ? ", summed over the axes along which it was broadcast" : "";
        maps.append(map(`∂L/∂${label} for ${name(parent)}`, "gradient", gradient, note));
      }
    }
  }
  pane.append(maps);
  if (node.op && ["forward", "rule"].includes(event.kind)) {
    const [forward, rule] = sources[node.op];
    if (forward) pane.append(make("pre", backward ? {} : { class: "lit" }, forward), make("pre", backward ? { class: "lit" } : {}, rule));
    const [kept, bytes] = node.keeps;
    const facts = [kept.length ? `The tape keeps ${kept.join(", ")}: ${bytes}.` : "The tape keeps nothing for this rule."];
    if (node.options.length) facts.push(`Options: ${node.options.join(", ")}.`);
    if (event.made.length) facts.push(`Under create_graph the rule recorded ${event.made.length} nodes of a second tape.`);
    if (node.site) facts.push(`Recorded at ${node.site}`);
    for (const fact of facts) pane.append(make("p", { class: "kept" }, fact));
  }
  pane.scrollTop = 0;
}

// ---- the controls

function show() {
  document.body.classList.toggle("backward", events[state.at].kind !== "forward");
  document.querySelector("header output").textContent = `step ${state.at + 1} of ${events.length}`;
  document.querySelector("footer input").value = state.at;
  drawGraph();
  drawStep();
}

function go(at) {
  state.at = Math.max(0, Math.min(events.length - 1, at));
  show();
}

function run() {
  if (state.timer) { clearInterval(state.timer); state.timer = null; return; }
  state.timer = setInterval(() => {
    if (state.at === events.length - 1) run();
    else go(state.at + 1);
  }, 900);
}

function resize(by) {
  state.type = Math.max(11, Math.min(34, state.type + by));
  document.documentElement.style.setProperty("--type", `${state.type}px`);
  show();
}

const actions = {
  Home: () => go(0), ArrowLeft: () => go(state.at - 1), ArrowRight: () => go(state.at + 1), End: () => go(events.length - 1),
  " ": run, f: () => { foldTo(0); show(); }, u: () => { state.folded.clear(); show(); }, "-": () => resize(-2), "+": () => resize(2),
  d: () => document.documentElement.classList.toggle("dark"),
};
const buttons = [["|←", "Home", "first step"], ["←", "ArrowLeft", "a step back"], ["→", "ArrowRight", "a step on"],
  ["→|", "End", "last step"], ["run", " ", "run and stop (space)"], ["fold", "f", "fold the layers (f)"],
  ["unfold", "u", "unfold the layers (u)"], ["A−", "-", "smaller type (−)"], ["A+", "+", "larger type (+)"], ["◐", "d", "dark or light (d)"]];

let count = 0;
for (const node of nodes) if (node.op) node.step = ++count;
const slider = make("input", { type: "range", min: 0, max: events.length - 1, value: 0, "aria-label": "step" });
slider.addEventListener("input", () => go(Number(slider.value)));
const shown = buttons.filter(([, key]) => groups.length || !"fu".includes(key));
document.body.append(
  make("header", {}, make("h1", {}, story.title), make("output")),
  make("main", {}, make("div", { id: "graph" }), make("div", { id: "step" })),
  make("footer", {}, ...shown.slice(0, 4).map(button), slider, ...shown.slice(4).map(button)),
);

function button([label, key, title]) {
  return make("button", { title, "data-key": key, onclick: actions[key] }, label);
}

document.addEventListener("keydown", event => {
  const action = actions[event.key === "=" ? "+" : event.key];
  if (!action || event.ctrlKey || event.metaKey || event.altKey || (event.target === slider && event.key.startsWith("Arrow"))) return;
  event.preventDefault();
  action();
});
if (matchMedia("(prefers-color-scheme: dark)").matches) document.documentElement.classList.add("dark");
foldUntilItFits();
show();
