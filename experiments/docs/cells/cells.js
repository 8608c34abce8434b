// Runs the cells of a page by Pyodide, which lies beside the site or where ?pyodide=… says.
"use strict";

const base = new URL(new URLSearchParams(location.search).get("pyodide") || "../pyodide/", location.href).href;
const say = (text) => { document.getElementById("state").textContent = text; };
const SHOW = `
import base64, io, sys
if "matplotlib.pyplot" in sys.modules:
    plt = sys.modules["matplotlib.pyplot"]
    for number in plt.get_fignums():
        out = io.BytesIO()
        plt.figure(number).savefig(out, format="png", dpi=110)
        show_picture(base64.b64encode(out.getvalue()).decode())
    plt.close("all")
`;

async function start() {
  say("Python is being loaded …");
  const { loadPyodide } = await import(base + "pyodide.mjs");
  const python = await loadPyodide({ indexURL: base });
  await python.loadPackage(["numpy", "matplotlib"]);
  const zip = await fetch("minigan.zip");
  if (!zip.ok) throw new Error(`minigan.zip: ${zip.status}`);
  python.unpackArchive(await zip.arrayBuffer(), "zip", { extractDir: "/minigan" });
  python.runPython("import os, sys; sys.path.insert(0, '/minigan'); os.environ['MPLBACKEND'] = 'agg'");
  for (const cell of document.querySelectorAll("section")) {
    const button = cell.querySelector("button");
    button.disabled = false;
    button.addEventListener("click", () => run(python, cell));
  }
  say("Python is ready: run the cells from top to bottom.");
}

async function run(python, cell) {
  const out = cell.querySelector("pre");
  const write = (line) => { out.append(line + "\n"); };
  out.textContent = "";
  cell.querySelectorAll("img").forEach((picture) => picture.remove());
  python.setStdout({ batched: write });
  python.setStderr({ batched: write });
  try {
    await python.runPythonAsync(cell.querySelector("textarea").value);
    python.globals.set("show_picture", (data) => {
      const picture = document.createElement("img");
      picture.src = "data:image/png;base64," + data;
      cell.append(picture);
    });
    python.runPython(SHOW);
  } catch (error) {
    write(String(error.message));
  }
}

document.getElementById("start").addEventListener("click", (event) => {
  event.target.disabled = true;
  start().catch((error) => {
    say(`Python could not be loaded from ${base}: ${error.message}`);
    event.target.disabled = false;
  });
});
