"""The skeleton and the style sheet of a report: one page, light or dark as the reader's system is."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title · minigan</title>
<style>
:root {
  --paper: #fff; --ink: #1c1e21; --quiet: #666b73; --line: #e3e5e8; --panel: #f6f7f8;
  --accent: $accent;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #1b1d20; --ink: #e8e9eb; --quiet: #9a9fa8; --line: #33363b; --panel: #24272b;
    --accent: $accent_on_dark;
  }
}
* { box-sizing: border-box }
body {
  max-width: 1280px; margin: 0 auto; padding: 56px 32px 96px; background: var(--paper); color: var(--ink);
  font: 17px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { margin: 0; font-size: clamp(34px, 5vw, 56px); line-height: 1.1; letter-spacing: -.02em }
h1, td { overflow-wrap: anywhere }
h2 { margin: 72px 0 20px; padding-top: 20px; border-top: 1px solid var(--line); font-size: 24px }
p { max-width: 72ch; margin: 0 0 1em; text-wrap: pretty }
.eyebrow { margin-bottom: 8px; color: var(--quiet); font-size: 15px }
.verdict { margin: 16px 0 40px; font-size: 22px; line-height: 1.4 }
strong { color: var(--accent) }
img { display: block; max-width: 100%; height: auto }
.pixels { image-rendering: pixelated; background: #000; border-radius: 3px }
.strip .pixels { image-rendering: auto }
figure { margin: 0 }
figcaption { margin-top: 8px; color: var(--quiet); font-size: 15px }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 24px }
.cards + figure { margin-top: 20px }
.bars { margin-top: 12px }
.strip { display: grid; grid-template-columns: repeat(4, 1fr); gap: 24px 20px }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 12px; margin: 0 }
.card { padding: 16px 18px; border-radius: 8px; background: var(--panel) }
dt { color: var(--quiet); font-size: 15px }
dd { margin: 0; font-size: 27px; font-weight: 600; line-height: 1.3; white-space: nowrap }
small { display: block; color: var(--quiet); font-size: 14px; font-weight: 400; white-space: normal }
.curves { width: 100% }
.bars { display: block; width: 100%; max-width: 760px; font-size: 16px; text-anchor: middle }
.bars rect { fill: var(--accent) }
.bars text { fill: var(--ink) }
.bars .quiet { fill: var(--quiet); font-size: 13px }
.bars line { stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 5 4 }
.tables { columns: 340px; column-gap: 40px }
table { width: 100%; margin-bottom: 28px; border-collapse: collapse; font-size: 15px; break-inside: avoid }
caption { padding-bottom: 6px; font-weight: 600; text-align: left }
th, td { padding: 5px 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top }
th { padding-right: 16px; color: var(--quiet); font-weight: 400 }
td { text-align: right; font-variant-numeric: tabular-nums }
pre { margin: 0; padding: 16px 18px; border-radius: 8px; background: var(--panel); white-space: pre-wrap }
code { font: 15px/1.5 ui-monospace, Menlo, Consolas, monospace; user-select: all }
@media (max-width: 800px) { .strip { grid-template-columns: repeat(2, 1fr) } body { padding: 32px 16px } }
@media (prefers-reduced-motion: reduce) { .moving { display: none } }
@media print { figure, .card, table { break-inside: avoid } }
</style>
</head>
<body>
$body
</body>
</html>
""")
