
// Films: a slider over the pictures of a .film (see film.py), and a small one in the corner while its curves are read.
document.addEventListener("DOMContentLoaded", () => {
  for (const film of document.querySelectorAll(".film")) {
    const frames = [...film.querySelectorAll(".strip figure")], slider = film.querySelector("input");
    if (!slider) continue;
    const scope = linked(film), play = film.querySelector(".play"), shown = film.querySelector(".shown");
    const pictures = [shown.querySelector("img")], says = [...film.querySelectorAll(".now")];
    const steps = frames.map((frame) => +frame.dataset.step), seen = frames.filter((frame) => !frame.hidden);
    let timer = null;

    const show = (index) => {
      slider.value = index;
      const frame = frames[slider.value], text = `step ${steps[slider.value].toLocaleString("en")}`;
      const source = frame.querySelector("img");
      for (const picture of pictures) Object.assign(picture, { src: source.src, alt: source.alt });
      for (const place of says) place.textContent = text;
      slider.setAttribute("aria-valuetext", text);
      const nearest = seen.findLast((other) => +other.dataset.step <= steps[slider.value]);
      for (const other of seen) other.classList.toggle("chosen", other === nearest);
      scope.dispatchEvent(new CustomEvent("marked", { detail: steps[slider.value] }));
    };

    const stop = () => {
      clearInterval(timer);
      timer = null;
      play.classList.remove("playing");
      play.ariaLabel = "Play";
    };

    const start = () => {
      if (+slider.value === frames.length - 1) show(0);
      timer = setInterval(() => {
        show(+slider.value + 1);
        if (+slider.value === frames.length - 1) stop();
      }, Math.min(500, Math.max(80, 8000 / frames.length)));
      play.classList.add("playing");
      play.ariaLabel = "Pause";
    };

    /** The last picture of a step not after this one. */
    const seek = (step) => {
      stop();
      show(Math.max(0, steps.findLastIndex((other) => other <= step)));
    };

    play.addEventListener("click", () => (timer ? stop() : start()));
    slider.addEventListener("input", () => { stop(); show(slider.value); });
    for (const frame of frames) frame.addEventListener("click", () => seek(+frame.dataset.step));
    scope.addEventListener("picked", (event) => seek(event.detail));
    document.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input")) return;
      stop();
      show(+slider.value + by);
    });

    const charts = scope.querySelector(".charts");
    if (charts) {
      const corner = document.body.appendChild(document.createElement("figure"));
      corner.className = "corner";
      corner.hidden = true;
      pictures.push(corner.appendChild(document.createElement("img")));
      says.push(corner.appendChild(document.createElement("figcaption")));
      corner.addEventListener("click", () => film.scrollIntoView({ behavior: "smooth" }));
      const inSight = new Map();
      const observer = new IntersectionObserver((entries) => {
        for (const entry of entries) inSight.set(entry.target, entry.isIntersecting);
        corner.hidden = inSight.get(shown) || !inSight.get(charts);
      });
      observer.observe(shown);
      observer.observe(charts);
    }
    show(slider.value);
  }
});
