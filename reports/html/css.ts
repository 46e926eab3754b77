/**
 * The style of the HTML report, one sheet whose hash is in the page's content security policy; nothing in the
 * page has a style of its own. `light-dark()` follows the reader's system, or the button that overrides it.
 */
export const CSS = `
:root{color-scheme:light dark;
--bg:light-dark(#fff,#13161b);--fg:light-dark(#1c2127,#dfe4ea);--dim:light-dark(#5a6470,#98a3b0);
--line:light-dark(#d9dee4,#2e353f);--soft:light-dark(#f4f6f8,#1a1f26);--link:light-dark(#0a58a8,#7db7f0);
--ok:light-dark(#dcecf7,#143247);--okf:light-dark(#0b4a78,#a5d3f2);
--bad:light-dark(#fbe0d3,#4a2310);--badf:light-dark(#8c3200,#ffb48c);
--odd:light-dark(#f6e3ee,#43233a);--oddf:light-dark(#7c2f60,#efb5d8);
--mid:light-dark(#fbefcf,#3f330d);--midf:light-dark(#6b4c00,#f2d27a)}
:root[data-theme=light]{color-scheme:light}:root[data-theme=dark]{color-scheme:dark}
*,::before,::after{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:1.2rem 1.4rem 4rem;background:var(--bg);color:var(--fg);
font:14.5px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
h1{font-size:1.55rem;line-height:1.2;margin:.2rem 0 .3rem}h2{font-size:1.2rem;margin:2.4rem 0 .5rem;padding-top:.5rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.6rem 0 .3rem}h4{font-size:.9rem;margin:1rem 0 .3rem}
p{margin:.4rem 0;max-width:76ch}a{color:var(--link)}small,.dim{color:var(--dim);font-size:.87em}
code,pre,kbd{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em}
pre{margin:.3rem 0;padding:.55rem .7rem;background:var(--soft);border:1px solid var(--line);border-radius:5px;overflow-x:auto;line-height:1.35}
pre.cmd{user-select:all;white-space:pre-wrap;overflow-wrap:anywhere}
.over{overflow-wrap:anywhere}
.bar{display:flex;flex-wrap:wrap;gap:.3rem .9rem;align-items:center;padding:.45rem 0;border-bottom:1px solid var(--line)}
nav.bar{position:sticky;top:0;z-index:3;background:var(--bg);font-size:.88rem}
nav a{text-decoration:none}nav a:hover{text-decoration:underline}
.tools{display:none;margin-left:auto;gap:.5rem}.js .tools{display:flex}
button,input{font:inherit;font-size:.86rem;color:inherit;background:var(--soft);border:1px solid var(--line);border-radius:5px;padding:.15rem .5rem}
button{cursor:pointer}input{width:11.5rem}
:focus-visible{outline:2px solid var(--link);outline-offset:1px}
.verdict{margin:.8rem 0;padding:.6rem .9rem;border-left:4px solid var(--okf);background:var(--soft);border-radius:0 6px 6px 0}
.verdict.warn{border-left-color:var(--badf)}.verdict p{margin:.25rem 0;max-width:100ch}.verdict p:first-child{font-size:1.06rem;font-weight:600}
.scroll{overflow-x:auto;max-width:100%;
background:linear-gradient(to right,var(--bg) 40%,transparent) 0 0/26px 100% no-repeat local,
linear-gradient(to left,var(--bg) 40%,transparent) 100% 0/26px 100% no-repeat local,
linear-gradient(to right,#0004,transparent) 0 0/9px 100% no-repeat scroll,
linear-gradient(to left,#0004,transparent) 100% 0/9px 100% no-repeat scroll}
table{border-collapse:collapse;font-size:.87rem}
th,td{padding:.2rem .34rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
thead th{color:var(--dim);font-size:.82rem;font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--line)}
td.n,th.n{text-align:right}td.n{white-space:nowrap}thead th.n{max-width:6.8em}.js thead th.n{max-width:none}th.n button{display:inline-block;width:min-content}
.fn thead th:not(.n){min-width:7.6em;max-width:8.6em;overflow-wrap:anywhere}tbody tr:hover{background:var(--soft)}
th[scope=row]{font-weight:600;white-space:nowrap;max-width:24em;overflow:hidden;text-overflow:ellipsis}td.wide{min-width:13em}
th button{all:unset;cursor:pointer}th button:focus-visible{outline:2px solid var(--link)}
th[aria-sort] button::after{content:"\\a0↕";opacity:.35}th[aria-sort=ascending] button::after{content:"\\a0↑";opacity:1}th[aria-sort=descending] button::after{content:"\\a0↓";opacity:1}
.fate{white-space:nowrap}.i{width:.95em;height:.95em;vertical-align:-.12em;fill:none;stroke:currentColor;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.t-ok{--b:var(--ok);--c:var(--okf)}.t-efault,.t-internal-error,.t-shutdown{--b:var(--bad);--c:var(--badf)}
.t-livelock,.t-corrupt{--b:var(--odd);--c:var(--oddf)}.t-refused,.t-gave-up,.t-unsupported,.t-kernel-panic,.t-hung,.t-timed-out,.t-out-of-memory{--b:var(--mid);--c:var(--midf)}
.tag{background:var(--b);color:var(--c);border-radius:4px;padding:.05rem .4rem;white-space:nowrap;font-weight:600;font-size:.92em}
.matrix th,.matrix td{border:1px solid var(--bg);padding:0}
.matrix thead th{padding:.25rem;max-width:84px;font-size:.76rem;line-height:1.2;overflow:hidden;border-bottom:0}
.matrix th a{text-decoration:none}.matrix th a:hover{text-decoration:underline}
.matrix tbody th{position:sticky;left:0;z-index:1;background:var(--bg);padding:.2rem .6rem .2rem 0;vertical-align:middle}
.matrix td{background:var(--b);min-width:70px}
.matrix td a{display:block;padding:.22rem .2rem;color:var(--c);text-decoration:none;text-align:center;font-size:.77rem;line-height:1.15;font-weight:600}
.matrix td a:hover{text-decoration:underline}.matrix .i{display:block;margin:0 auto .1rem;width:1.05em;height:1.05em}
.matrix .none{text-align:center;color:var(--dim);background:var(--soft)}
.flag{color:var(--badf);font-weight:700}
.eq{color:var(--dim);font-size:.85em;white-space:nowrap}.ne{color:var(--badf);font-weight:700;white-space:nowrap}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,470px),1fr));gap:.4rem 1.4rem}
figure{margin:.3rem 0;min-width:0}figcaption{font-weight:600;font-size:.9rem}figure svg{max-width:100%;height:auto;display:block}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.4rem 0;padding:0;list-style:none;font-size:.86rem}
.key svg{width:.8em;height:.8em;vertical-align:-.05em;margin-right:.3em}
details{border-bottom:1px solid var(--line)}
summary{cursor:pointer;padding:.28rem .1rem}summary:hover{background:var(--soft)}summary strong{display:inline-block;min-width:11.5rem}
.cell{padding:.1rem 0 1rem 1.1rem;scroll-margin-top:6rem}.cell:target{border-left:3px solid var(--link);padding-left:calc(1.1rem - 3px)}
section,h2,h3,[data-box]{scroll-margin-top:3.2rem}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:0 1.6rem}
.life{list-style:none;margin:.3rem 0 .6rem;padding:0;max-width:1000px}
.life li{--x:9px;position:relative;padding:.16rem 0 .3rem 100px;
background:linear-gradient(var(--fg),var(--fg)) var(--x) 12px/2px 100% no-repeat,
repeating-linear-gradient(90deg,transparent 0 9px,var(--line) 9px 10px,transparent 10px 18px) 0 0/90px 100% no-repeat}
.life li:last-child{background:repeating-linear-gradient(90deg,transparent 0 9px,var(--line) 9px 10px,transparent 10px 18px) 0 0/90px 100% no-repeat}
.life li::before{content:"";position:absolute;left:calc(var(--x) - 5px);top:7px;width:12px;height:12px;border-radius:50%;background:var(--bg);border:2px solid var(--fg);z-index:1}
.life li.d::before{border-radius:1px;transform:rotate(45deg);background:var(--link);border-color:var(--link)}
.life li.p::before{background:var(--oddf);border-color:var(--oddf)}
.life li.m::before{display:none}
.life li::after{content:"";position:absolute;top:0;height:14px;border-bottom:2px solid var(--fg)}
.life li:first-child::after{display:none}
.l1{--x:27px!important}.l2{--x:45px!important}.l3{--x:63px!important}.l4{--x:81px!important}
.up::after{border-left:2px solid var(--fg)}.dn::after{border-right:2px solid var(--fg)}
.s0::after{left:9px}.s1::after{left:27px}.s2::after{left:45px}.s3::after{left:63px}.s4::after{left:81px}
.w0::after{width:2px}.w1::after{width:20px}.w2::after{width:38px}.w3::after{width:56px}.w4::after{width:74px}
.w0::after{border-bottom:0!important}
.by{display:inline-block;font-size:.82rem;padding:0 .35rem;border-radius:4px;background:var(--soft);border:1px solid var(--line)}
.by.patch{background:var(--odd);color:var(--oddf);border-color:transparent;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.4rem 0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
[hidden]{display:none!important}
@media(max-width:640px){body{padding:.7rem .8rem 3rem;font-size:14px}nav.bar{flex-wrap:nowrap;overflow-x:auto;white-space:nowrap}
.tools{margin-left:0;order:-1}input{width:9rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}.cell{padding-left:.2rem}summary strong{min-width:0;margin-right:.4rem}
.matrix tbody th{max-width:116px;white-space:normal;overflow-wrap:anywhere;font-size:.78rem}
.matrix td{min-width:62px}}
@media print{:root{color-scheme:light}body{max-width:none;padding:0;font-size:9.5pt}nav.bar,.tools{display:none!important}
h2,h3,h4,summary{break-after:avoid}tr,figure,.life li,.verdict{break-inside:avoid}a{color:inherit;text-decoration:none}
.scroll{overflow:visible;background:none}table{font-size:7.5pt}th,td{padding:.1rem .25rem}.matrix thead th,.matrix td a{font-size:6.4pt;max-width:none}.matrix td{min-width:0}
.matrix tbody th{font-size:7pt;padding-right:.3rem}.charts{grid-template-columns:1fr 1fr}td,.tag,.verdict,.by,.life li,.matrix td{print-color-adjust:exact}th[aria-sort] button::after{content:""!important}}
`.trim();
