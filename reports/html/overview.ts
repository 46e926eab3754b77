/** The top of the report: the verdict in words, and the fate matrix in which each cell leads to its drill-down. */
import { type Fate, findRun } from '../../scenarios/run/comparison.ts';
import { html, join, type Markup } from '../print/escape.ts';
import { FATE_WORDS, plural } from '../print/words.ts';
import { summarize, verdict } from '../summary.ts';
import { filterText, icon, type Page, tag } from './parts.ts';

/** What came out, in sentences. */
export function verdictSection({ c }: Page): Markup {
  const summary = summarize(c);
  const warn = summary.broken > 0 || c.interrupted === true;
  return html`<div class="verdict${warn ? ' warn' : ''}" id="verdict">${join(
    verdict(c, summary).map((s) => html`<p class="over">${s}</p>`),
  )}</div>`;
}

/** Scenarios down, strategies across, a word and an icon in each cell. */
export function matrixSection(page: Page): Markup {
  const { c } = page;
  const used = (Object.keys(FATE_WORDS) as Fate[]).filter((f) => c.runs.some((r) => r.fate === f));
  const everyStrategy = c.strategies.map((s) => s.name);
  return html`<section id="matrix"><h2>Fate of the VM</h2>
<p class="dim">A cell leads to what happened there, step by step, and to the command that does it again.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Fate matrix"><table class="matrix"><thead><tr><td></td>${join(
    c.strategies.map((s) => html`<th scope="col"><a href="#series" title="${s.cover}">${s.name}</a></th>`),
  )}</tr></thead><tbody>${join(
    c.scenarios.map(
      (s) =>
        html`<tr data-f="${filterText(s.name, ...everyStrategy)}"><th scope="row"><a href="#${page.scenarioId(s.name)}" title="${s.asks}">${s.name}</a></th>${join(
          c.strategies.map((t) => cell(page, s.name, t.name)),
        )}</tr>\n`,
    ),
  )}</tbody></table></div>
<ul class="key">${join(used.map((f) => html`<li>${tag(f)} ${FATE_WORDS[f].says}</li>`))}</ul></section>`;
}

function cell(page: Page, scenario: string, strategy: string): Markup {
  const run = findRun(page.c, scenario, strategy);
  if (run === undefined) return html`<td class="none">not run</td>`;
  const broken = run.claims.filter((x) => x.holds === false).length;
  return html`<td class="t-${run.fate}"><a href="#${page.cellId(scenario, strategy)}" title="${run.detail}">${icon(run.fate)}${FATE_WORDS[run.fate].word}${
    broken > 0 && html` <span class="flag">⚑ ${plural(broken, 'claim')} broken</span>`
  }</a></td>`;
}

/** Claims written beside the scenarios that did not come out. */
export function brokenSection(page: Page): Markup {
  const broken = page.c.runs.flatMap((run) =>
    run.claims.filter((x) => x.holds === false).map((claim) => ({ run, claim })),
  );
  if (broken.length === 0) return html``;
  return html`<section id="broken"><h2>Broken claims</h2><ul>${join(
    broken.map(
      ({ run, claim }) =>
        html`<li class="over"><a href="#${page.cellId(run.scenario, run.strategy)}">${run.scenario} / ${run.strategy}</a>: ${claim.claim}; seen: <b>${claim.seen ?? 'something else'}</b> <small>(${claim.source})</small></li>`,
    ),
  )}</ul></section>`;
}
