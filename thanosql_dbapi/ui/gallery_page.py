"""The page that a gallery is poured into: HTML and CSS, nothing fetched from anywhere."""

from __future__ import annotations

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<header class="top">
<h1>{title}</h1>
<p class="lead">{lead}</p>
<nav><ol>{contents}</ol></nav>
</header>
{sections}
</main>
</body>
</html>
"""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf8f5; --card: #ffffff; --ink: #1d1b26; --faint: #716c80; --line: #e7e2da;
  --accent: #6a4cff; --shadow: 0 1px 2px rgb(40 30 60 / 8%), 0 6px 20px rgb(40 30 60 / 7%);
  --keyword: #6a2fbf; --string: #a8451a; --digit: #0f6b57;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14131a; --card: #1e1c27; --ink: #f0eef6; --faint: #9d97ae; --line: #302d3c;
    --accent: #a693ff; --shadow: 0 1px 2px rgb(0 0 0 / 40%);
    --keyword: #c3a6ff; --string: #f2a97c; --digit: #7fd6c0;
  }
}
* { box-sizing: border-box }
html { scroll-behavior: smooth }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans KR", sans-serif;
}
main { max-width: 1320px; margin: 0 auto; padding: 3rem clamp(1rem, 4vw, 3rem) 5rem }
h1 { margin: 0; font-size: clamp(1.9rem, 5vw, 3rem); line-height: 1.1; letter-spacing: -.025em }
.lead { margin: .75rem 0 1.5rem; color: var(--faint); font-size: 1.1rem; max-width: 46rem }
.lead:empty { display: none }
nav ol { display: flex; flex-wrap: wrap; gap: .5rem; margin: 0; padding: 0; list-style: none }
nav a {
  display: block; padding: .3rem .85rem; border: 1px solid var(--line); border-radius: 99px;
  background: var(--card); color: var(--ink); font-size: .9rem; text-decoration: none;
}
nav a:hover, nav a:focus-visible { border-color: var(--accent); color: var(--accent) }
section { margin-top: 3.25rem; scroll-margin-top: 1.5rem }
section > header { display: flex; align-items: center; gap: 1rem; margin-bottom: 1rem }
h2 { margin: 0; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em }
.found { margin: .1rem 0 0; color: var(--faint); font-size: .875rem }
.asked { width: 96px; border-radius: 10px; box-shadow: var(--shadow) }
.cards {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(210px, 45%), 1fr));
  gap: 1rem; margin: 0; padding: 0; list-style: none;
}
figure {
  height: 100%; margin: 0; overflow: hidden; border-radius: 14px; background: var(--card);
  box-shadow: var(--shadow);
}
figure img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover }
.missing {
  display: grid; place-items: center; aspect-ratio: 4 / 3; padding: 1rem; overflow: auto;
  color: var(--faint); font-size: .8rem; overflow-wrap: anywhere; background: var(--line);
}
figcaption { display: grid; gap: .2rem; padding: .7rem .85rem .85rem }
.similarity {
  display: flex; align-items: baseline; justify-content: space-between;
  color: var(--faint); font-size: .8rem;
}
.similarity:empty { display: none }
.similarity b { color: var(--ink); font-size: .95rem; font-variant-numeric: tabular-nums }
.caption { font-size: .9rem; line-height: 1.35 }
.name {
  overflow: hidden; color: var(--faint); font-size: .75rem; text-overflow: ellipsis;
  white-space: nowrap;
}
details { margin-top: .9rem }
summary { width: max-content; color: var(--faint); font-size: .875rem; cursor: pointer }
summary:hover { color: var(--accent) }
pre {
  margin: .6rem 0 0; padding: 1rem 1.15rem; overflow-x: auto; border: 1px solid var(--line);
  border-radius: 12px; background: var(--card); font: .85rem/1.55 ui-monospace, "SF Mono",
  Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
.k, .kt, .kr { color: var(--keyword); font-weight: 600 }
.s, .s1, .s2, .ss { color: var(--string) }
.m, .mi, .mf { color: var(--digit) }
@media print { nav { display: none } figure { break-inside: avoid; box-shadow: none } }
"""
