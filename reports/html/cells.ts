/** The drill-down of each cell: why, the life of its first faults, tables in known shapes, and how to do it again. */
import {
  type Comparison,
  NOT_OBSERVABLE,
  type RomWrite,
  type Run,
  type ScenarioInfo,
} from '../../scenarios/run/comparison.ts';
import { html, join, type Markup } from '../print/escape.ts';
import { count, totalFaults } from '../print/words.ts';
import { livesPicture } from './life-picture.ts';
import { filterText, type Page, runsOf, table, tag, td, tdNumber } from './parts.ts';

/** Where an engine does not see inside the kernel. */
const NOT_TOLD = 'This engine does not see what happens inside the kernel.';

/** One closed drill-down a cell, by scenario. */
export function cellsSection(page: Page): Markup {
  return html`<section id="cells"><h2>Cell by cell</h2>${join(
    page.c.scenarios.map((s) => {
      const runs = runsOf(page.c, s.name);
      return runs.length === 0
        ? html``
        : html`<div data-box><h3>${s.name}</h3>${join(
            runs.map((r) => cell(page, s, r)),
            '\n',
          )}</div>`;
    }),
  )}</section>`;
}

function cell(page: Page, s: ScenarioInfo, r: Run): Markup {
  return html`<details data-f="${filterText(r.scenario, r.strategy)}"><summary><strong>${r.strategy}</strong> ${tag(r.fate)} <span class="over">${r.detail}</span></summary>
<div class="cell" id="${page.cellId(r.scenario, r.strategy)}"><p class="over">${r.finding !== undefined && html`${r.finding}. `}${r.because}</p>
<pre class="cmd">${commandFor(page.c, s, r)}</pre>
<h4>Life of the first faults</h4>${r.life === undefined ? html`<p class="dim">${NOT_TOLD}</p>` : livesPicture(r.life)}
<div class="two"><div><h4>Exits, as perf kvm stat counts them</h4><pre>${join(
    perfTable(r).map((line) => html`${line}`),
    '\n',
  )}</pre></div>
<div><h4>Attempted writes to the ROM</h4>${romWrites(r)}</div></div>
${claims(r)}<p class="dim">${r.digest !== undefined && html`digest <code>${r.digest}</code> · `}<a href="#${page.cellId(r.scenario, r.strategy)}">permalink</a> · <a href="#matrix">matrix</a></p></div></details>`;
}

const word = (s: string): string => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", "'\\''")}'`);

/** The options that name a strategy. */
function strategyWords(c: Comparison, name: string): string[] {
  const cross = c.strategies.find((s) => s.name === name)?.cross;
  if (cross === undefined) return ['--strategy', name];
  const option = (flag: string, patches: readonly string[]): string[] =>
    patches.length === 0 ? [] : [flag, ...patches];
  return [
    ...['--strategy', cross.of],
    ...option('--with', cross.added),
    ...option('--without', cross.leftOut),
    ...option('--vmm', cross.vmm === undefined ? [] : [cross.vmm]),
  ];
}

/** The command that shows this cell again, quoted for a shell. */
export function commandFor(c: Comparison, s: ScenarioInfo, r: Run): string {
  const params = Object.entries(s.params).flatMap(([k, v]) => ['--param', `${k}=${v}`]);
  const words = ['--scenario', r.scenario, ...strategyWords(c, r.strategy), ...params, '--paging', r.paging];
  return `compare explain ${[...words, '--seed', String(c.seed)].map(word).join(' ')}`;
}

/** A table in the classic layout of `perf kvm stat report`, which reviewers read at a glance. */
function perfTable(r: Run): string[] {
  const vmexits: readonly (readonly [string, number])[] = [
    ['npf', totalFaults(r) ?? 0],
    ['io', r.exits.io],
    ['hlt', r.exits.hlt],
    ['shutdown', r.exits.shutdown],
  ];
  const kinds = Object.entries(r.faults ?? {}).map(([k, n]): readonly [string, number] => [`npf: ${k}`, n]);
  const exits = Object.entries(r.exits).map(([k, n]): readonly [string, number] => [k, n]);
  return [perfRows('VM-EXIT', vmexits), perfRows('Page fault', kinds), perfRows('KVM_RUN returns', exits)]
    .filter((t) => t.length > 0)
    .flatMap((t, i) => (i > 0 ? ['', ...t] : t));
}

function perfRows(title: string, all: readonly (readonly [string, number])[]): string[] {
  const rows = all.filter(([, n]) => n > 0).toSorted((a, b) => b[1] - a[1]);
  if (rows.length === 0) return [];
  const total = rows.reduce((sum, [, n]) => sum + n, 0);
  return [
    `${title.padStart(20)} ${'Samples'.padStart(10)} ${'Samples%'.padStart(9)}`,
    ...rows.map(
      ([name, n]) =>
        `${name.padStart(20)} ${String(n).padStart(10)} ${`${((n / total) * 100).toFixed(2)}%`.padStart(9)}`,
    ),
    `Total Samples:${total}`,
  ];
}

/** So many different attempts are listed; the JSON has what was recorded beyond them. */
const WRITES = 8;

function romWrites(r: Run): Markup {
  if (r.romWrites.length === 0) return html`<p class="dim">None was recorded.</p>`;
  const distinct: { readonly write: RomWrite; times: number }[] = [];
  for (const write of r.romWrites) {
    const last = distinct.at(-1);
    if (last !== undefined && JSON.stringify(last.write) === JSON.stringify(write)) last.times++;
    else distinct.push({ write, times: 1 });
  }
  const rows = distinct
    .slice(0, WRITES)
    .map(
      ({ write: w, times }) =>
        html`<tr><td><code>${w.rip}</code></td><td><code>${w.gpa}</code></td><td><code>${w.data}</code></td>${td(w.became)}${tdNumber(count(times))}</tr>`,
    );
  const heads = [
    ...['rip', 'gpa', 'bytes', 'became'].map((text) => ({ text })),
    { text: 'in a row', n: true },
  ];
  const more = distinct.slice(WRITES).reduce((n, d) => n + d.times, 0);
  return html`${table('Attempted writes to the ROM', heads, rows, '')}${
    more > 0 && html`<p class="dim">and ${count(more)} more that were recorded.</p>`
  }`;
}

/** Claims that hold, together by where they come from; each broken one by itself and first. */
function claims(r: Run): Markup {
  if (r.claims.length === 0) return html`<p class="dim">Nothing was claimed about this run.</p>`;
  const broken = r.claims.filter((x) => x.holds === false);
  const held = new Map<string, string[]>();
  for (const x of r.claims)
    if (x.holds === true) held.set(x.source, [...(held.get(x.source) ?? []), x.claim]);
  const unseen = r.claims.filter((x) => x.holds === NOT_OBSERVABLE).map((x) => x.claim);
  return html`<h4>Claims</h4><ul>${join(
    broken.map(
      (x) =>
        html`<li class="over"><b class="ne">✗ broken</b>: ${x.claim}; seen: ${x.seen ?? 'something else'} <small>${x.source}</small></li>`,
    ),
  )}${join(
    [...held].map(
      ([source, said]) =>
        html`<li class="over">✓ ${said.length === 1 ? 'holds' : 'hold'}: ${said.join('; ')} <small>${source}</small></li>`,
    ),
  )}${unseen.length > 0 && html`<li class="over dim">– not observable on engine ${r.engine}: ${unseen.join('; ')}</li>`}</ul>`;
}
