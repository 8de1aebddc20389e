/** The style of the page: light and dark, wide and narrow, screen and paper. */
import { Html } from "./element.ts";

/** Everything in one element; the page loads nothing. */
export const STYLE = new Html(`<style>
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1b1f24; --quiet: #57606a; --rule: #d0d7de; --panel: #f6f8fa; --link: #0b57b0;
  --good: #116329; --good-back: #dafbe1; --half: #7a4a00; --half-back: #fff3cd; --bad: #a40e26; --bad-back: #ffe3e3; --none-back: #eef1f4; }
@media (prefers-color-scheme: dark) { :root { --paper: #0f1419; --ink: #e6edf3; --quiet: #9aa5b1; --rule: #30363d; --panel: #171d24; --link: #79b8ff;
  --good: #7ee2a0; --good-back: #12351f; --half: #f2cc60; --half-back: #3a2d09; --bad: #ffa198; --bad-back: #4b1a1c; --none-back: #21262d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 84rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .2rem; }
h4 { font-size: .9rem; margin: 1rem 0 .2rem; }
p { margin: .3rem 0; max-width: 72ch; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
code, .dump { font-family: ui-monospace, monospace; font-size: .85em; }
.quiet { color: var(--quiet); font-size: .9rem; }
.legend { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: .1rem 1.5rem; margin: .5rem 0 0; font-size: .9rem; }
.legend div { display: flex; gap: .6rem; align-items: baseline; }
.legend dt { flex: 0 0 8.8rem; } .legend dd { margin: 0; color: var(--quiet); }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 6px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .92rem; overflow-wrap: normal; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid var(--rule); }
thead th { vertical-align: bottom; background: var(--panel); } thead th.column { min-width: 7.5rem; max-width: 14rem; overflow-wrap: anywhere; }
thead tr:first-child th { font-weight: 600; }
tbody th[scope=row] { font-weight: 500; min-width: 11rem; } th[scope=row] .quiet { display: block; font-weight: 400; font-size: .82rem; max-width: 30ch; }
tr.group th, tr.group td { background: var(--panel); font-size: .82rem; letter-spacing: .03em; color: var(--quiet); padding-block: .25rem; }
tr > :first-child { position: sticky; left: 0; background: var(--paper); z-index: 1; } thead tr > :first-child, tr.group > :first-child { background: var(--panel); }
tfoot th, tfoot td { font-weight: 600; border-bottom: 0; }
.past { color: var(--quiet); white-space: nowrap; } td.past { background: color-mix(in srgb, var(--panel) 60%, transparent); }
.past-begins { border-left: 2px solid var(--rule); }
td a.pill { text-decoration: none; } td a.pill:hover { text-decoration: underline; }
.pill { display: inline-block; white-space: nowrap; padding: .05rem .5rem; border-radius: 1rem; border: 1px solid transparent; color: var(--ink); background: var(--none-back); }
.v-released .pill { color: var(--good); background: var(--good-back); } .v-partial .pill, .v-off .pill { color: var(--half); background: var(--half-back); }
.v-broken .pill { color: var(--bad); background: var(--bad-back); border-color: currentColor; font-weight: 600; }
.v-not-testable .pill, .v-not-applicable .pill { background: none; border: 1px dashed var(--rule); color: var(--quiet); }
.was { display: block; font-size: .78rem; color: var(--quiet); white-space: nowrap; }
details.cell { border-bottom: 1px solid var(--rule); } details.cell > summary { padding: .35rem 0; cursor: pointer; } details.cell > summary .pill { min-width: 8.2rem; }
details.cell > summary .title { font-weight: 600; }
.inside { padding: 0 0 1rem 1.1rem; border-left: 3px solid var(--rule); margin: .2rem 0 .6rem .3rem; scroll-margin-top: 7rem; }
.inside ul { margin: .2rem 0; padding-left: 1.2rem; }
.timeline { display: block; width: 100%; max-width: 50rem; height: auto; margin: .4rem 0; font: 12px system-ui, sans-serif; fill: currentColor; }
.timeline .life { stroke: var(--rule); stroke-width: 2; } .timeline .sent { stroke: var(--link); } .timeline .received { stroke: var(--good); }
.timeline .sent-tip { fill: var(--link); } .timeline .received-tip { fill: var(--good); } .timeline .received { stroke-dasharray: 5 3; }
.timeline .time, .timeline .note { fill: var(--quiet); } .timeline .who { font-weight: 600; } .timeline .mark { fill: var(--quiet); }
ol.steps { margin: .4rem 0; padding: 0; list-style: none; font-size: .9rem; }
ol.steps > li { padding: .15rem 0 .15rem 6.5rem; text-indent: -6.5rem; } ol.steps > li > * { text-indent: 0; }
ol.steps .time { display: inline-block; width: 6rem; text-align: right; padding-right: .6rem; color: var(--quiet); font-variant-numeric: tabular-nums; }
ol.steps .who { font-weight: 600; white-space: nowrap; } ol.steps .prober { color: var(--link); } ol.steps .target { color: var(--good); }
details.octets > summary { cursor: pointer; color: var(--quiet); }
.dump { overflow-x: auto; background: var(--panel); border-radius: 4px; padding: .4rem .6rem; margin: .3rem 0; overflow-wrap: normal; }
.dump code { display: block; white-space: pre; font-size: .8rem; }
@media (max-width: 40rem) { body { padding-inline: .8rem; } th[scope=row] .quiet { display: none; } tbody th[scope=row] { min-width: 7.5rem; max-width: 8.5rem; overflow-wrap: anywhere; }
  th, td { padding: .35rem .5rem; } .legend { grid-template-columns: 1fr; } details.cell > summary .pill { min-width: 0; } ol.steps > li { padding-left: 1rem; text-indent: -1rem; } ol.steps .time { width: auto; } .timeline { display: none; } }
@page { size: A4 landscape; margin: 12mm; }
@media print { :root { color-scheme: light; --paper: #fff; --ink: #000; --quiet: #333; --rule: #999; --panel: #f2f2f2; --link: #000; --good: #000; --good-back: #fff; --half: #000; --half-back: #fff; --bad: #000; --bad-back: #fff; --none-back: #fff; }
  html { font-size: 9pt; } body { max-width: none; padding: 0; } .scroll { overflow: visible; border: 0; } tr > :first-child { position: static; } table { border-collapse: collapse; } thead { display: table-header-group; } tfoot { display: table-row-group; } tr, li { break-inside: avoid; } h2, h3, h4, summary { break-after: avoid; }
  td a.pill, .pill { padding: 0; border: 0 !important; background: none !important; } .v-broken .pill { text-decoration: underline; } .back { display: none; } th[scope=row] .quiet { max-width: none; } .timeline { max-width: 150mm; break-inside: avoid; }
  .evidence { break-before: page; } details > summary { list-style: none; } details.cell { break-inside: avoid; } details.cell[open] { break-inside: auto; } }
</style>`);
