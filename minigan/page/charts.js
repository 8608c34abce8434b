"use strict";
document.documentElement.classList.add("script");

// Charts: every .charts holds its data as JSON (see charts.py). Those of one .linked element, or of the page, share the
// zoom, the smoothing and the step under the pointer. A film says "marked" when it shows a step; a click on a curve
// says "picked". Both are events of the .linked element.
const linked = (element) => element.closest(".linked") ?? document;

document.addEventListener("DOMContentLoaded", () => {
  const MARGIN = { left: 52, right: 14, top: 8, bottom: 26 }, HEIGHT = 248, DRAG = 5;
  const groups = new Map();

  function add(parent, name, attributes = {}, text = "") {
    const drawn = /^(svg|g|path|line|rect|circle|text)$/.test(name);
    const made = drawn ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return parent.appendChild(made);
  }

  function paint(element, [onWhite, onDark]) {
    element.style.setProperty("--on-white", onWhite);
    element.style.setProperty("--on-dark", onDark);
  }

  const write = (value, digits, style = "decimal") =>
    new Intl.NumberFormat("en", { style, maximumSignificantDigits: digits }).format(value);
  const whole = (value) => write(Math.round(value), 15);

  /** The index in ascending xs of the value nearest to x. */
  function nearest(xs, x) {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle;
      else high = middle;
    }
    return Math.abs(xs[high] - x) < Math.abs(xs[low] - x) ? high : low;
  }

  /** About `count` round numbers between low and high. */
  function ticks(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => +((first + i) * step).toPrecision(12));
  }

  /** Round numbers for a logarithmic axis: powers of ten, with parts between them where these would be few. */
  function logTicks(low, high) {
    for (const parts of [[1], [1, 3], [1, 2, 5]]) {
      const all = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        all.push(...parts.map((part) => part * 10 ** power));
      const seen = all.filter((value) => value >= low && value <= high);
      if (seen.length >= 3) return seen.length <= 6 ? seen : seen.filter((_, i) => i % Math.ceil(seen.length / 6) === 0);
    }
    return ticks(low, high, 4).filter((value) => value > 0);
  }

  const quantile = (sorted, share) => sorted[Math.round(share * (sorted.length - 1))];

  class Group {
    constructor(scope) {
      Object.assign(this, { scope, charts: [], end: 1, hovered: null, marked: null, smoothing: true });
      scope.addEventListener("marked", (event) => this.mark(event.detail));
    }

    toolbar(parent) {
      const bar = add(parent, "div", { class: "toolbar" });
      const label = add(bar, "label");
      const box = add(label, "input", { type: "checkbox", checked: "" });
      label.append("Smooth");
      box.addEventListener("change", () => { this.smoothing = box.checked; this.draw(); });
      this.reset = add(bar, "button", { type: "button", class: "reset" }, "Whole run");
      this.reset.addEventListener("click", () => this.zoom(0, this.end));
      this.shown = add(bar, "output", { class: "range" });
      const film = this.scope.querySelector(".film") ? ", click to see the samples of that step" : "";
      add(bar, "span", {}, `Drag over a curve to zoom, double-click to go back${film}.`);
    }

    zoom(low, high) {
      [this.low, this.high] = [Math.max(0, low), Math.min(this.end, high)];
      this.reset.disabled = this.low === 0 && this.high === this.end;
      this.shown.value = `steps ${whole(this.low)} to ${whole(this.high)}`;
      this.draw();
    }

    draw() { for (const chart of this.charts) chart.draw(); }

    mark(step) { this.marked = step; this.point(); }

    hover(step) { this.hovered = step; this.point(); }

    point() { for (const chart of this.charts) chart.point(); }

    pick(step) { this.scope.dispatchEvent(new CustomEvent("picked", { detail: step })); }
  }

  class Chart {
    constructor(group, data, figure) {
      Object.assign(this, { group, data, figure });
      const caption = add(figure, "figcaption");
      add(caption, "span", { class: "title" }, data.title);
      add(caption, "span", { class: "note" }, data.note ?? "");
      this.at = add(caption, "span", { class: "at" });
      const legend = add(figure, "ul", { class: "legend" });
      for (const line of data.series) {
        const item = add(legend, "li");
        const swatch = add(item, "i", { class: line.dash ? "dash" : "" });
        paint(swatch, line.colour);
        item.append(line.label);
        line.readout = add(item, "b");
      }
      this.svg = add(figure, "svg", { class: "drawn", height: HEIGHT, role: "img", "aria-label": data.title });
      this.steps = [...new Set(data.series.flatMap((line) => line.x))].sort((a, b) => a - b);
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.svg);
    }

    // Where a value lies, in pixels, and back ----------------------------------------------------

    x(step) { return MARGIN.left + (this.wide * (step - this.group.low)) / (this.group.high - this.group.low); }

    step(x) { return this.group.low + ((x - MARGIN.left) / this.wide) * (this.group.high - this.group.low); }

    y(value) {
      const [low, high, at] = this.data.log
        ? [this.bottom, this.top, Math.max(value, 1e-12)].map(Math.log)
        : [this.bottom, this.top, value];
      return MARGIN.top + this.high * (1 - (at - low) / (high - low));
    }

    /** The indices of a line's points in sight, and of one more on either side. */
    seen(line) {
      const { low, high } = this.group;
      const inside = line.x.map((x) => x >= low && x <= high);
      return line.x.map((_, i) => i).filter((i) => inside[i] || inside[i - 1] || inside[i + 1] || this.spans(line, i));
    }

    spans(line, i) {
      const { low, high } = this.group;
      return (line.x[i] < low && line.x[i + 1] > high) || (line.x[i - 1] < low && line.x[i] > high);
    }

    /** The axis follows the bulk of what is in sight: a spike does not flatten it. */
    fit() {
      const ends = [];
      for (const line of this.data.series) {
        const seen = this.seen(line);
        const values = seen.map((i) => line.y[i]).sort((a, b) => a - b);
        if (!values.length) continue;
        const spiky = line.smooth && values.length > 20;
        ends.push(quantile(values, spiky ? 0.01 : 0), quantile(values, spiky ? 0.99 : 1));
        if (line.smooth) ends.push(line.smooth[seen.at(-1)]);
        if (line.band) for (const i of seen) ends.push(line.y[i] - line.band[i], line.y[i] + line.band[i]);
      }
      const kept = this.data.log ? ends.filter((value) => value > 0) : ends;
      let low = Math.min(...kept), high = Math.max(...kept);
      if (!kept.length) [low, high] = [this.data.log ? 0.1 : 0, 1];
      if (this.data.log) [low, high] = [low / 1.3, high * 1.3];
      else if (this.data.percent) [low, high] = [0, Math.max(1, high)];
      else {
        const margin = 0.06 * (high - low) || 0.1 * Math.abs(high) || 0.1;
        [low, high] = [low >= 0 && low < 0.4 * high ? 0 : low - margin, high + margin];
      }
      [this.bottom, this.top] = [low, high];
    }

    // Drawing ------------------------------------------------------------------------------------

    draw() {
      const width = this.svg.clientWidth, { low, high } = this.group;
      if (!width) return;
      [this.wide, this.high] = [width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
      this.svg.replaceChildren();
      this.fit();
      const base = MARGIN.top + this.high, right = MARGIN.left + this.wide;
      for (const value of this.data.log ? logTicks(this.bottom, this.top) : ticks(this.bottom, this.top, 5)) {
        const y = this.y(value);
        add(this.svg, "line", { class: "grid", x1: MARGIN.left, x2: right, y1: y, y2: y });
        const text = write(value, 3, this.data.percent ? "percent" : "decimal");
        add(this.svg, "text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, text);
      }
      for (const value of ticks(low, high, Math.min(6, this.wide / 75)).filter(Number.isInteger)) {
        const x = this.x(value), text = whole(value), inside = width - 4.2 * text.length;
        add(this.svg, "line", { class: "axis", x1: x, x2: x, y1: base, y2: base + 4 });
        add(this.svg, "text", { x: Math.min(x, inside), y: base + 20, "text-anchor": "middle" }, text);
      }
      add(this.svg, "line", { class: "axis", x1: MARGIN.left, x2: right, y1: base, y2: base });
      const [left, across] = [MARGIN.left - 6, this.wide + 12]; // room for half a dot at either end
      const frame = { x: left, y: 0, width: across, height: base, viewBox: `${left} 0 ${across} ${base}` };
      const plot = add(this.svg, "svg", frame);
      for (const line of this.data.series) this.drawLine(plot, line);
      this.marked = add(this.svg, "line", { class: "marked", y1: MARGIN.top, y2: base });
      this.cursor = add(this.svg, "g", { class: "hovered" });
      add(this.cursor, "line", { y1: MARGIN.top, y2: base });
      for (const line of this.data.series) paint((line.dot = add(this.cursor, "circle", { r: 5 })), line.colour);
      this.selection = add(this.svg, "rect", { class: "selection", y: MARGIN.top, height: this.high });
      this.point();
    }

    drawLine(plot, line) {
      const group = add(plot, "g"), seen = this.seen(line);
      paint(group, line.colour);
      const path = (values) => seen.map((i, n) => `${n ? "L" : "M"}${this.x(line.x[i]).toFixed(1)} ${this.y(values[i]).toFixed(1)}`).join("");
      if (line.band) {
        const edge = (i, side) => `${this.x(line.x[i]).toFixed(1)} ${this.y(line.y[i] + side * line.band[i]).toFixed(1)}`;
        const there = seen.map((i) => edge(i, 1)), back = seen.map((i) => edge(i, -1)).reverse();
        if (there.length) add(group, "path", { class: "band", d: `M${[...there, ...back].join("L")}Z` });
      }
      const smooth = line.smooth && this.group.smoothing;
      const kind = smooth ? "raw" : line.smooth ? "bare" : line.dash ? "dash" : "";
      add(group, "path", { class: `line ${kind}`, d: path(line.y) });
      if (smooth) add(group, "path", { class: "line", d: path(line.smooth) });
      if (line.dots && !line.dash)
        for (const i of seen) add(group, "circle", { class: "dot", cx: this.x(line.x[i]), cy: this.y(line.y[i]), r: 3.5 });
    }

    /** Show the step under the pointer, or else the marked one, or else the last: the lines' values there, and where. */
    point() {
      if (!this.cursor) return;
      const { hovered, marked, low, high, end } = this.group;
      const asked = hovered ?? marked ?? end;
      const step = this.steps[nearest(this.steps, asked)];
      this.at.textContent = `step ${whole(step)}`;
      for (const line of this.data.series) {
        const i = nearest(line.x, step), style = this.data.percent ? "percent" : "decimal";
        const value = line.of ? `${whole(line.y[i] * line.of)} of ${line.of}` : write(line.y[i], 4, style);
        const band = line.band ? ` ± ${write(line.band[i], 2)}` : "";
        line.readout.textContent = value + band + (line.x[i] === step ? "" : ` at ${whole(line.x[i])}`);
        line.dot.setAttribute("cx", this.x(line.x[i]));
        line.dot.setAttribute("cy", this.y(line.y[i]));
        line.dot.style.display = line.x[i] >= low && line.x[i] <= high ? "" : "none";
      }
      const place = (element, at, there) => {
        for (const key of ["x1", "x2"]) element.setAttribute(key, this.x(at));
        element.style.display = there && at >= low && at <= high ? "" : "none";
      };
      this.cursor.style.display = hovered === null ? "none" : "";
      place(this.cursor.firstChild, step, hovered !== null);
      place(this.marked, marked ?? 0, marked !== null);
    }

    // Pointer ------------------------------------------------------------------------------------

    listen() {
      let from = null;
      const at = (event) => event.clientX - this.svg.getBoundingClientRect().left;
      const inside = (x) => Math.min(Math.max(x, MARGIN.left), MARGIN.left + this.wide);
      const select = (a, b) => {
        this.selection.setAttribute("x", Math.min(a, b));
        this.selection.setAttribute("width", Math.abs(b - a));
      };
      this.svg.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        from = inside(at(event));
        this.svg.setPointerCapture(event.pointerId);
      });
      this.svg.addEventListener("pointermove", (event) => {
        const x = inside(at(event));
        this.group.hover(this.step(x));
        if (from !== null && Math.abs(x - from) > DRAG) select(from, x);
      });
      this.svg.addEventListener("pointerup", (event) => {
        if (from === null) return;
        const x = inside(at(event)), [low, high] = [from, x].map((x) => this.step(x)).sort((a, b) => a - b);
        from = null;
        select(0, 0);
        if (Math.abs(this.x(high) - this.x(low)) <= DRAG) this.group.pick(this.step(x));
        else if (high - low >= 1) this.group.zoom(low, high);
      });
      this.svg.addEventListener("pointercancel", () => { from = null; select(0, 0); });
      this.svg.addEventListener("pointerleave", () => { if (from === null) this.group.hover(null); });
      this.svg.addEventListener("dblclick", () => this.group.zoom(0, this.group.end));
    }
  }

  for (const place of document.querySelectorAll(".charts")) {
    const scope = linked(place);
    if (!groups.has(scope)) groups.set(scope, new Group(scope));
    const group = groups.get(scope), beside = place.querySelector(":scope > figure");
    if (!group.charts.length) group.toolbar(place);
    for (const data of JSON.parse(place.querySelector("script").textContent)) {
      group.charts.push(new Chart(group, data, add(place, "figure", { class: "chart" })));
      group.end = Math.max(group.end, ...data.series.map((line) => line.x.at(-1)));
    }
    if (beside) place.append(beside);
  }
  for (const group of groups.values()) group.zoom(0, group.end);
});
