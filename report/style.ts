/** The style sheet of report.html. In dark mode it overrides the pictures' text and background colours; print is on white. */
export const STYLE = `
:root { --paper: #fff; --ink: #1b1e23; --mute: #59606b; --line: #d9dce1; --grid: #e4e6ea; --card: #f6f7f9; --note: #fff6e0 }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 82rem; padding: 1.5rem clamp(1rem, 3vw, 2.5rem) 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 'Open Sans', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; overflow-wrap: break-word }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; overflow-wrap: anywhere }
h2 { margin: 0 0 .5rem; font-size: 1.1rem; line-height: 1.3 }
h3 { margin: 1rem 0 .3rem; font-size: 1rem; line-height: 1.3 }
header p { margin: .2rem 0 1.2rem; color: var(--mute) }
section { margin-top: 2rem }
.notes { margin: 0 0 1.2rem; padding: .6rem 1rem .6rem 2rem; background: var(--note); border-radius: 6px; overflow-wrap: anywhere }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.4rem, 1fr)); gap: .6rem; margin: 0 }
.tiles div { padding: .55rem .8rem; background: var(--card); border-radius: 6px }
dt { color: var(--mute); font-size: .85rem }
dd { margin: 0 }
.tiles dd { font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap }
.tiles small { font-size: .8rem; font-weight: 400; color: var(--mute) }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 2rem; align-items: start }
figure { margin: 0; break-inside: avoid }
figure > svg { display: block; width: 100%; height: auto }
figcaption, .legend { margin-top: .4rem; color: var(--mute); font-size: .9rem; max-width: 60rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; font-weight: 400 }
thead th { color: var(--mute); font-size: .85rem }
th:first-child { text-align: left }
tbody th { font-weight: 600 }
tr { break-inside: avoid }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem }
.cards article { padding: .8rem 1rem; background: var(--card); border-radius: 6px; overflow-wrap: anywhere; break-inside: avoid }
.cards h3 { margin: 0 0 .3rem }
.cards small { font-weight: 400; color: var(--mute) }
.cards dt { margin-top: .3rem }
.images { display: flex; flex-wrap: wrap; gap: .3rem; margin: .3rem 0 }
.swatch { margin-right: .5rem; vertical-align: -2px }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr)); gap: .5rem 1rem; margin: 0 }
.pairs .long { grid-column: 1 / -1 }
.pairs dd { overflow-wrap: anywhere }
.bar { display: flex; flex-wrap: wrap; gap: .4rem; margin: 0 0 .4rem }
.bar .save { display: contents }
button, input { padding: .15rem .6rem; border: 1px solid var(--line); border-radius: 6px; background: var(--card); color: var(--ink); font: inherit; font-size: .85rem }
button { cursor: pointer }
button:disabled { color: var(--mute); cursor: default }
button.sort { position: relative; padding: 0; border: 0; background: none; color: inherit; font-weight: inherit }
button.sort::after { position: absolute; left: 100% }
[aria-sort=ascending] > button.sort::after { content: '▴' } [aria-sort=descending] > button.sort::after { content: '▾' }
svg.zooms { cursor: crosshair; touch-action: pan-y }
tr[data-cluster] { cursor: pointer }
.rows { margin: .6rem 0; padding: .6rem 1rem; background: var(--card); border-radius: 6px; overflow-wrap: anywhere }
.rows p, .rows ul { margin: .2rem 0 } .rows h3 { color: var(--mute); font-size: .85rem; font-weight: 400 }
.row-list { display: flex; flex-wrap: wrap; gap: .3rem .9rem; padding: 0; list-style: none } .row-list li { display: grid; justify-items: center }
.row-image { width: 44px; height: 44px; object-fit: contain; image-rendering: pixelated }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #16181d; --ink: #e8eaee; --mute: #a3abb8; --line: #363b45; --grid: #2b2f37; --card: #20242b; --note: #3a3220 }
  svg .paper { fill: none } svg .ink, svg .mark { fill: var(--ink) } svg .mute { fill: var(--mute) }
  svg .grid { stroke: var(--grid) } svg .axis { stroke: var(--mute) } svg .inkline { stroke: var(--ink) }
  svg .halo, svg .mark, svg .rim { stroke: var(--paper) }
}
@media print {
  .bar, aside.rows { display: none }
  body { max-width: none; padding: 0; font-size: 10pt }
  .figures { grid-template-columns: 1fr 1fr; gap: 1rem }
  .tiles { grid-template-columns: repeat(5, 1fr) }
  .tiles div { border: 1px solid var(--line) }
  svg, .swatch { print-color-adjust: exact; -webkit-print-color-adjust: exact }
}
`;
