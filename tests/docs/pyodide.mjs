// autograd and nn on WebAssembly: PYODIDE_DIR=FOLDER node tests/docs/pyodide.mjs ZIP
// FOLDER holds Pyodide with the wheel of NumPy beside it. With the core alone, what needs NumPy is left out, and said.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.env.PYODIDE_DIR && resolve(process.env.PYODIDE_DIR);
if (!folder || !existsSync(join(folder, "pyodide.mjs"))) {
  console.log("skipped: PYODIDE_DIR names no folder with pyodide.mjs");
  process.exit(0);
}
const { loadPyodide } = await import(pathToFileURL(join(folder, "pyodide.mjs")));
const python = await loadPyodide({ indexURL: folder + "/" });
python.unpackArchive(new Uint8Array(readFileSync(process.argv[2])), "zip", { extractDir: "/minigan" });
python.runPython(`
import importlib.util, pathlib, sys
pathlib.Path("/bundled/autograd").mkdir(parents=True)  # another package of the name, as a distribution may bundle
pathlib.Path("/bundled/autograd/__init__.py").touch()
sys.path.insert(0, "/bundled")
sys.path.insert(0, "/minigan")
for name in ("autograd", "nn"):
    assert importlib.util.find_spec(name).origin == f"/minigan/{name}/__init__.py"
for path in pathlib.Path("/minigan").rglob("*.py"):
    compile(path.read_text(encoding="utf-8"), path, "exec")
`);
console.log("unpacked: our autograd comes first, and every file compiles");
if (!readdirSync(folder).some((name) => name.startsWith("numpy-"))) {
  console.log("left out: there is no NumPy beside Pyodide");
  process.exit(0);
}
await python.loadPackage("numpy");
python.runPython(`
import numpy as np
import nn
from autograd import Tensor, grad, gradcheck, ops

gradcheck(ops.tanh, np.linspace(-2.0, 2.0, 5))
rng = np.random.default_rng(0)
G = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
d_step, g_step = nn.Adam(D.parameters(), lr=1e-2), nn.Adam(G.parameters(), lr=1e-2)
for _ in range(10):
    real = Tensor(rng.standard_normal((32, 2)).astype("float32"), requires_grad=True)
    z = Tensor(rng.standard_normal((32, 2)).astype("float32"))
    score = D(real)
    (slope,) = grad(score.sum(), [real], create_graph=True)
    loss = ops.softplus(-score).mean() + ops.softplus(D(G(z).detach())).mean() + (slope * slope).sum() / 32
    D.zero_grad()
    loss.backward()
    d_step.step()
    G.zero_grad()
    ops.softplus(-D(G(z))).mean().backward()
    g_step.step()
assert np.isfinite(loss.item())
`);
console.log("run: gradcheck, and ten steps of a GAN with R1");
process.exit(0);
