"use strict";
// The film of a page: a slider over the pictures of .film (see film.py). The step it shows is the CSS variable --step,
// which places the marks in the charts (see minigan/charts.py). Without this script the slider and the marks are hidden.
document.addEventListener("DOMContentLoaded", () => {
  const film = document.querySelector(".film"), slider = film?.querySelector("input");
  if (!slider) return;
  document.documentElement.classList.add("script");
  const frames = [...film.querySelectorAll(".strip figure")], steps = frames.map((frame) => +frame.dataset.step);
  const strip = frames.filter((frame) => !frame.hidden);
  const picture = film.querySelector(".shown img"), play = film.querySelector(".play");
  let timer = null;

  function show(index) {
    slider.value = index;
    const step = steps[slider.value], text = `step ${step.toLocaleString("en")}`;
    const source = frames[slider.value].querySelector("img");
    Object.assign(picture, { src: source.src, alt: source.alt });
    for (const place of film.querySelectorAll(".now")) place.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    const nearest = strip.findLast((frame) => +frame.dataset.step <= step);
    for (const frame of strip) frame.classList.toggle("chosen", frame === nearest);
    document.documentElement.style.setProperty("--step", step);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.classList.remove("playing");
    play.ariaLabel = "Play";
  }

  function start() {
    if (+slider.value === frames.length - 1) show(0);
    timer = setInterval(() => {
      show(+slider.value + 1);
      if (+slider.value === frames.length - 1) stop();
    }, Math.min(500, Math.max(80, 8000 / frames.length)));
    play.classList.add("playing");
    play.ariaLabel = "Pause";
  }

  play.addEventListener("click", () => (timer ? stop() : start()));
  slider.addEventListener("input", () => { stop(); show(slider.value); });
  frames.forEach((frame, index) => frame.addEventListener("click", () => { stop(); show(index); }));
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input")) return;
    stop();
    show(+slider.value + by);
  });
  show(slider.value);
});
