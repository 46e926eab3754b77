/** Exact counts, scenario by scenario, with the closed form beside what was measured. */
import { EXIT_KINDS } from '../../engine/exits.ts';
import { FAULT_KINDS } from '../../engine/observation.ts';
import type { Prediction, Run, ScenarioInfo } from '../../scenarios/run/comparison.ts';
import { html, join, type Markup } from '../print/escape.ts';
import {
  count,
  countOrDash,
  hasOperations,
  notObserved,
  perOperation,
  stepsPerOperation,
  totalDecisions,
  withArticle,
} from '../print/words.ts';
import { filterText, type Head, type Page, runsOf, table, tag, td, tdNumber } from './parts.ts';

/** A table a scenario. */
export function countsSection(page: Page): Markup {
  const all = page.c.runs.flatMap((r) => r.predictions);
  const equal = all.filter(agrees).length;
  return html`<section id="counts"><h2>Exact counts</h2>
<p>Counts are exact and the same on every machine. ${
    all.length > 0 &&
    html`${count(equal)} of ${count(all.length)} counts that have a closed form equal it; where one is known it stands beside the number, with <b class="ne">≠</b> where they differ.`
  }</p>${join(page.c.scenarios.map((s) => scenarioCounts(page, s)))}</section>`;
}

const agrees = (p: Prediction): boolean => p.predicted === p.measured;

function scenarioCounts(page: Page, s: ScenarioInfo): Markup {
  const runs = runsOf(page.c, s.name);
  const params = Object.entries(s.params).map(([k, v]) => `${k}=${v}`);
  const exits = EXIT_KINDS.filter((k) => runs.some((r) => r.exits[k] > 0));
  const faults = FAULT_KINDS.filter((k) => runs.some((r) => (r.faults?.[k] ?? 0) > 0));
  const slots = runs.some((r) => r.slotOps > 0);
  const cost = runs.some((r) => r.cost !== undefined);
  const measured = runs.some((r) => r.measured !== undefined);
  const heads: Head[] = [
    { text: 'strategy' },
    { text: 'fate' },
    { text: 'ROM' },
    ...exits.map((k) => ({ text: `exits: ${k}`, n: true })),
    ...faults.map((k) => ({ text: `faults: ${k}`, n: true })),
    ...(slots ? [{ text: 'slot ioctls', n: true }] : []),
    { text: 'decisions taken', n: true },
    { text: 'operations', n: true },
    { text: 'steps/op', n: true },
    ...(cost ? [{ text: 'kernel insns/op, predicted', n: true }] : []),
    ...(measured ? [{ text: 'kernel insns/KVM_RUN, measured', n: true }] : []),
  ];
  const forms: string[] = [];
  const row = (r: Run): Markup =>
    html`<tr data-f="${filterText(r.scenario, r.strategy)}"><th scope="row"><a href="#${page.cellId(r.scenario, r.strategy)}">${r.strategy}</a></th><td>${tag(r.fate)}</td>${join(
      [
        td(r.romIntact ? 'kept' : html`<b class="ne">LOST</b>`),
        ...exits.map((k) => counted(r, `exits.${k}`, r.exits[k], forms)),
        ...faults.map((k) => counted(r, `faults.${k}`, r.faults?.[k], forms)),
        ...(slots ? [counted(r, 'slotOps', r.slotOps, forms)] : []),
        tdNumber(countOrDash(totalDecisions(r))),
        tdNumber(count(r.operations)),
        tdNumber(stepsPerOperation(r)),
        ...(cost ? [tdNumber(r.cost && hasOperations(r) ? perOperation(r.cost.perOperation) : '–')] : []),
        ...(measured ? [tdNumber(countOrDash(r.measured?.median))] : []),
      ],
    )}</tr>`;
  return html`<div id="${page.scenarioId(s.name)}" data-box><h3>${s.name}</h3>
<p class="over">${s.asks} <small>One operation is ${withArticle(s.operation)}${params.length > 0 && ` (${params.join(', ')})`}. ${s.source}</small></p>
${runs.length === 0 ? html`<p>Nothing was run.</p>` : table(`Counts of ${s.name}`, heads, runs.map(row))}${formNotes(forms)}${otherForms(runs)}${dashes(runs)}</div>`;
}

/** What a dash means here. */
function dashes(runs: readonly Run[]): Markup {
  const says = notObserved(runs);
  return says === undefined ? html`` : html`<p class="dim">${says}</p>`;
}

/** A count, with its closed form when it has one. */
function counted(r: Run, quantity: string, measured: number | undefined, forms: string[]): Markup {
  if (measured === undefined) return tdNumber('–');
  const p = r.predictions.find((x) => x.quantity === quantity);
  if (p === undefined) return tdNumber(count(measured));
  return html`<td class="n" data-v="${measured}">${count(measured)} ${closedForm(p, forms)}</td>`;
}

/** A formula of a few letters stands beside its number; a longer one below the table, and its letter here. */
function closedForm(p: Prediction, forms: string[]): Markup {
  const short = p.formula.length <= 8;
  if (!short && !forms.includes(p.formula)) forms.push(p.formula);
  const name = short ? p.formula : formLetter(forms.indexOf(p.formula));
  return agrees(p)
    ? html`<span class="eq" title="${p.formula}">= ${name}</span>`
    : html`<span class="ne" title="${p.formula}">≠ ${name} = ${count(p.predicted)}</span>`;
}

const formLetter = (i: number): string => `(${i < 26 ? String.fromCharCode(97 + i) : count(i + 1)})`;

/** The long formulas of a table, by their letters. */
const formNotes = (forms: readonly string[]): Markup =>
  forms.length === 0
    ? html``
    : html`<p class="dim over">Closed forms: ${forms.map((f, i) => `${formLetter(i)} ${f}`).join(' · ')}</p>`;

/** Closed forms of quantities that have no column. */
function otherForms(runs: readonly Run[]): Markup {
  const rows = runs.flatMap((r) =>
    r.predictions
      .filter((p) => !/^(exits|faults)\.|^slotOps$/.test(p.quantity))
      .map(
        (p) =>
          html`<tr data-f="${filterText(r.scenario, r.strategy)}"><th scope="row">${r.strategy}</th>${td(p.quantity)}${td(p.formula)}${tdNumber(count(p.predicted))}${tdNumber(count(p.measured))}${tdNumber(agrees(p) ? '0' : html`<b class="ne">${count(p.measured - p.predicted)}</b>`)}</tr>`,
      ),
  );
  if (rows.length === 0) return html``;
  const heads: Head[] = [
    { text: 'strategy' },
    { text: 'quantity' },
    { text: 'closed form' },
    { text: 'predicted', n: true },
    { text: 'measured', n: true },
    { text: 'deviation', n: true },
  ];
  return html`<details><summary>Other closed forms (${rows.length})</summary>${table('Closed forms', heads, rows)}</details>`;
}
