/** The rest of the page: what each series touches, the thread's claims, how to read all this, where it comes from. */
import { DECISION_TABLE, DECISIONS } from '../../engine/policy.ts';
import type { StrategyInfo } from '../../scenarios/run/comparison.ts';
import { claimsTally, type ThreadClaimResult, VERDICT_WORDS } from '../findings/claims-text.ts';
import type { ReportOptions } from '../options.ts';
import { html, join, type Markup } from '../print/escape.ts';
import { comparisonDigest, count, plural } from '../print/words.ts';
import { summarize } from '../summary.ts';
import { type Page, table, td, tdNumber } from './parts.ts';

/** The diffstat of every series: which decisions of the kernel it rewrites, and with which patch. */
export function seriesSection({ c }: Page): Markup {
  const touched = (s: StrategyInfo): number => new Set(s.series.flatMap((p) => p.decisions)).size;
  const heads = [
    { text: 'strategy' },
    ...DECISIONS.map((d) => ({ text: DECISION_TABLE[d].at })),
    { text: 'patches', n: true },
    { text: 'decisions', n: true },
    { text: 'memory layout' },
  ];
  const rows = c.strategies.map(
    (s) =>
      html`<tr><th scope="row" title="${s.cover}">${s.name}</th>${join(
        DECISIONS.map((d) => {
          const by = s.series.filter((p) => p.decisions.includes(d));
          return by.length === 0
            ? html`<td class="dim">base</td>`
            : td(join(by.map((p) => html`<span class="by patch">${p.name}</span> `)));
        }),
      )}${tdNumber(s.series.length)}${tdNumber(touched(s))}<td class="wide">${s.layout}</td></tr>`,
  );
  return html`<section id="series"><h2>What each series touches</h2>
<p>Columns are the decisions of the fault path in the order a fault meets them; a patch stands under each it rewrites. Where none does, the base kernel decides.</p>
${table('Diffstat of each series', heads, rows, 'sort fn')}
<details><summary>Strategies and patches in words</summary><dl>${join(c.strategies.map((s) => html`<dt>${s.name}</dt><dd>${s.cover} <small>${s.source}</small></dd>`))}${join(patches(c.strategies))}</dl></details></section>`;
}

function patches(strategies: readonly StrategyInfo[]): Markup[] {
  const all = new Map(strategies.flatMap((s) => s.series).map((p) => [p.name, p]));
  return [...all.values()].map(
    (p) =>
      html`<dt><span class="by patch">${p.name}</span></dt><dd>${p.subject} <small>${p.source}; ${plural(p.decisions.length, 'decision')}</small></dd>`,
  );
}

/** The claims of the thread, when they were tried. */
export function threadSection(results: readonly ThreadClaimResult[] | undefined): Markup {
  if (results === undefined || results.length === 0) return html``;
  const heads = [{ text: 'verdict' }, { text: 'claim' }, { text: 'who' }, { text: 'tried by' }];
  const tone = { holds: 't-ok', fails: 't-efault', 'holds-if': 't-refused' } as const;
  const rows = results.map(
    (r) =>
      html`<tr id="claim/${r.id}"><td data-v="${r.verdict}"><span class="tag ${tone[r.verdict]}">${VERDICT_WORDS[r.verdict].icon} ${VERDICT_WORDS[r.verdict].word}</span></td><td>${r.claim}${
        r.condition !== undefined && html` <b>Only ${r.condition}.</b>`
      }<br><small>${r.evidence}</small></td><td>${r.who}<br><small>${r.message}</small></td><td><small>${r.scenarios.join(', ')}<br>${r.strategies.join(', ')}</small></td></tr>`,
  );
  return html`<section id="thread"><h2>The thread's claims, tried</h2><p>${claimsTally(results)}</p>${table('Claims of the thread', heads, rows)}</section>`;
}

/** How to read the report: what each number is and is not. */
export function readingSection(): Markup {
  return html`<section id="reading"><h2>How to read this</h2><dl>
<dt>fate</dt><dd>What became of the VM. It comes before every number: a strategy that kills the VM or changes the ROM is not fast.</dd>
<dt>exits</dt><dd>KVM_RUN coming back to the VMM, by reason. <code>-EFAULT</code> says neither address nor data, so a VMM that knows no better has crashed.</dd>
<dt>faults</dt><dd>Guest page faults KVM took, by what came of them: an entry was made (fixed), the instruction was emulated, tried again (retry), found to be a device (mmio), put off until the page is read (async), or answered with an error.</dd>
<dt>steps/op</dt><dd>Pieces of work the kernel did, divided by operations of the guest. Exact; of no unit.</dd>
<dt>kernel insns/op</dt><dd>The same steps priced in instructions of a real kernel. Predicted from a calibration, not measured here.</dd>
<dt>ns</dt><dd>The emulated core on the machine that ran it. A rough figure: each run is measured for a moment, one after the other, and strategies that do the same may differ by far. <code>compare bench</code> and <code>compare gate</code> measure in turns.</dd>
<dt>closed form</dt><dd>What a count must be by reasoning alone. <b>=</b> means that it was, <b class="ne">≠</b> that somebody is wrong.</dd>
<dt>claim</dt><dd>A sentence written beside a scenario, with where it comes from, and checked on every run.</dd>
<dt>keys</dt><dd><kbd>/</kbd> goes to the filter, <kbd>Esc</kbd> empties it, arrow keys move in the matrix, <kbd>Enter</kbd> opens a cell, a table head sorts.</dd>
</dl></section>`;
}

/** Where the numbers come from and how to get them again. */
export function provenanceSection({ c }: Page, options: ReportOptions): Markup {
  const s = summarize(c);
  const engines = [...new Set(c.runs.map((r) => r.engine))].join(', ');
  const agreement = Object.entries(c.conformance ?? {});
  const { json, csv } = options.beside ?? {};
  return html`<section id="provenance"><h2>Provenance</h2><dl>
<dt>command</dt><dd><code>${c.command}</code></dd>
<dt>version</dt><dd>faultline ${c.version}, ${c.schema}</dd>
<dt>engine</dt><dd>${engines || 'none'}, paging ${c.paging}</dd>
<dt>seed</dt><dd>${c.seed}</dd>
<dt>digest</dt><dd><code>${comparisonDigest(c)}</code> over the digests of all runs</dd>
<dt>cost profile</dt><dd>${c.profile ?? 'none was applied'}</dd>
<dt>cells</dt><dd>${count(s.ran)} of ${count(s.cells)} run${c.interrupted === true && ', interrupted'}</dd>
<dt>agreement with recorded kernels</dt><dd>${
    agreement.length === 0
      ? 'not measured in this invocation'
      : agreement.map(([kernel, n]) => `${kernel}: ${count(n.agree)} of ${count(n.cases)} cases`).join('; ')
  }</dd>
${json !== undefined && html`<dt>data</dt><dd><a href="${json}">JSON</a>${csv !== undefined && html`, <a href="${csv}">CSV</a>`}, from which this page was made</dd>`}
</dl></section>`;
}
