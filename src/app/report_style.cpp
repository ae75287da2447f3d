#include "app/report_sections.h"

namespace txtsum::app {

std::string_view page_style() {
  return R"css(
:root{color-scheme:light dark;--paper:#fdfdfc;--card:#f5f5f2;--ink:#20242a;--soft:#5b646e;--rule:#dddfda;
--warn:#8a5a00;--warn-paper:#fbf3e2;--p0:#c9d3dd;--p1:#3f6f9f;--p2:#8fb0cf;--p3:#6a7f94;--p4:#b3bcc4;--on-light:#20242a;--on-dark:#fff}
.c0{--c:#1f6fb2}.c1{--c:#c2571a}.c2{--c:#2a8a63}.c3{--c:#9a4c95}.c4{--c:#8a6a10}.c5{--c:#4f5d75}.c6{--c:#b03a48}.c7{--c:#1f8a99}
@media (prefers-color-scheme:dark){
:root{--paper:#15181c;--card:#1d2126;--ink:#e3e6ea;--soft:#9da7b1;--rule:#30363d;--warn:#e6b655;--warn-paper:#2a2418;
--p0:#4a5866;--p1:#6ca3d8;--p2:#35597c;--p3:#8296a9;--p4:#5d6873;--on-light:#fff;--on-dark:#101316}
.c0{--c:#6cb2ee}.c1{--c:#f0965a}.c2{--c:#5cc49a}.c3{--c:#cf8fd0}.c4{--c:#d3b155}.c5{--c:#a3b0c8}.c6{--c:#f0808c}.c7{--c:#62c6d6}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:64rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
h1{font-size:1.75rem;line-height:1.2;font-weight:600;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;font-weight:600;margin:0 0 .9rem}
h3{font-size:1rem;font-weight:600;margin:1.6rem 0 .5rem;overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:46rem}sub{line-height:0}
.soft,.sub{color:var(--soft)}.sub{font-size:.9rem}
.over{color:var(--soft);font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;margin:0 0 .4rem}
section{margin-top:2.4rem;padding-top:1.5rem;border-top:1px solid var(--rule)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:1.1rem 1.5rem;margin:1.6rem 0 0}
.tiles div{min-width:0}.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.4rem;white-space:nowrap;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles dd small{display:block;white-space:normal;font-size:.82rem;line-height:1.4;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:1.6rem 2rem}
figure{margin:0;min-width:0}figcaption{font-size:.92rem;margin-bottom:.35rem}figcaption .soft{font-size:.88rem}
svg{display:block;width:100%;max-width:34rem;height:auto;overflow:visible;font-size:12px}
svg text{fill:var(--soft);font-variant-numeric:tabular-nums}svg .label{fill:var(--ink);paint-order:stroke;stroke:var(--paper);stroke-width:3px}
.grid{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
.limit{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}
.line{fill:none;stroke:var(--c);stroke-width:1.7;stroke-linejoin:round}
.band{fill:var(--c);fill-opacity:.1;stroke:none}.dot{fill:var(--c)}
.ring{fill:var(--paper);stroke:var(--c);stroke-width:1.7}
.whisker{stroke:var(--c);stroke-width:1.7;stroke-opacity:.65}
.front{fill:none;stroke:var(--soft);stroke-width:1;stroke-dasharray:4 3}
.part{stroke:var(--paper);stroke-width:1}
.p0{fill:var(--p0)}.p1{fill:var(--p1)}.p2{fill:var(--p2)}.p3{fill:var(--p3)}.p4{fill:var(--p4)}
svg .on{fill:var(--on-light)}svg .on.p1,svg .on.p3{fill:var(--on-dark)}
.q0{--c:var(--p0)}.q1{--c:var(--p1)}.q2{--c:var(--p2)}.q3{--c:var(--p3)}.q4{--c:var(--p4)}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums;min-width:100%}
th,td{padding:.38rem .9rem .38rem 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule);vertical-align:top}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--paper)}th:last-child,td:last-child{padding-right:0}
th{font-weight:500;color:var(--soft)}table.ledger tr:last-child td{font-weight:600;border-bottom:0}
td small{display:block;color:var(--soft)}td .folder{max-width:17rem;white-space:normal;overflow-wrap:anywhere}
table.words td:first-child{min-width:11rem}table.words td,table.words th{text-align:left;white-space:normal;overflow-wrap:anywhere}
.run{overflow-wrap:anywhere}td .run{display:inline-block;min-width:7.5rem;max-width:17rem;white-space:normal}.run b{color:var(--c);font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:0 0 1rem;padding:0;list-style:none;font-size:.9rem}
.legend i,.swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;background:var(--c);margin-right:.45em}
.tag{display:inline-block;width:.58em;height:.58em;border-radius:50%;border:1.5px solid var(--soft);margin-left:.4em;vertical-align:.05em}
.tag.measured{background:var(--soft)}.tag.modelled{background:linear-gradient(90deg,var(--soft) 50%,transparent 50%)}
.tag.missing{border-style:dotted}
.tags{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.85rem;color:var(--soft)}.tags .tag{margin:0 .35em 0 0}
.notice{background:var(--warn-paper);border-left:3px solid var(--warn);padding:.7rem 1rem;margin-top:1.6rem}
.notice h2{color:var(--warn);font-size:1rem;margin:0 0 .3rem}.notice ul{margin:0;padding-left:1.1rem}
details{margin:.9rem 0}summary{cursor:pointer;color:var(--soft)}summary .run{color:var(--ink)}
.example{background:var(--card);border-radius:6px;padding:.9rem 1.1rem;margin:.8rem 0;overflow-wrap:anywhere}
.example dl{margin:0;display:grid;grid-template-columns:6.5rem 1fr;gap:.5rem 1rem}
.example dt{color:var(--soft);font-size:.85rem;padding-top:.12rem}.example dd{margin:0;white-space:pre-line}
.example dd.text{max-width:44rem}
ul.plain{margin:.3rem 0;padding-left:1.1rem}ul.plain li{margin:.2rem 0;max-width:48rem;overflow-wrap:anywhere}
code,pre{font:.85em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{background:var(--card);border-radius:6px;padding:.8rem 1rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
footer{margin-top:3rem;padding-top:1.2rem;border-top:1px solid var(--rule);color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
@media (max-width:34rem){main{padding:1.5rem 1rem 3rem}h1{font-size:1.4rem}.tiles{grid-template-columns:repeat(2,1fr);gap:.9rem 1rem}
.tiles dd{font-size:1.25rem}.example dl{grid-template-columns:1fr;gap:.1rem}.example dd{margin-bottom:.5rem}svg{font-size:13px}}
@media print{section{break-inside:avoid}body{font-size:12px}}
)css";
}

}  // namespace txtsum::app
