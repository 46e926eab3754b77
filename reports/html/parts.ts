/** Small pieces that every section of the HTML report uses: icons, tags, permalinks, tables. */
import type { Comparison, Fate, Run } from '../../scenarios/run/comparison.ts';
import { type Hole, html, join, Markup } from '../print/escape.ts';
import { FATE_WORDS } from '../print/words.ts';

/** What a section is made from. */
export interface Page {
  readonly c: Comparison;
  /** Id of the drill-down of a cell; the address ends in `#` and this. */
  readonly cellId: (scenario: string, strategy: string) => string;
  /** Id of a scenario's counts. */
  readonly scenarioId: (scenario: string) => string;
}

/** Gives names from outside ids of letters, digits and dashes; two names never share one. */
export function idsFor(names: readonly string[]): (name: string) => string {
  const taken = new Set<string>();
  const ids = new Map<string, string>();
  for (const name of names) {
    const slug =
      name
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 60) || 'unnamed';
    let id = slug;
    for (let n = 2; taken.has(id); n++) id = `${slug}-${n}`;
    taken.add(id);
    if (!ids.has(name)) ids.set(name, id);
  }
  return (name) => ids.get(name) ?? 'unknown';
}

/** The page a Comparison makes. */
export function pageOf(c: Comparison): Page {
  const scenario = idsFor(c.scenarios.map((s) => s.name));
  const strategy = idsFor(c.strategies.map((s) => s.name));
  return {
    c,
    cellId: (s, t) => `${scenario(s)}/${strategy(t)}`,
    scenarioId: (s) => `counts/${scenario(s)}`,
  };
}

/** Line drawings, so that no font and no emoji decides what a fate looks like. */
const ICONS: Readonly<Record<Fate, string>> = {
  ok: 'M2 8.5l4 4 8-9',
  efault: 'M3 3l10 10M13 3L3 13',
  'internal-error': 'M8 2l7 12H1zM8 6v4M8 12v.2',
  livelock: 'M13 5a6 6 0 1 0 1 4M14 2v4h-4',
  'gave-up': 'M3 8h.2M8 8h.2M13 8h.2',
  unsupported: 'M5 5a3 3 0 1 1 3.5 3.5V10M8.5 13v.2',
  shutdown: 'M8 1v7M4 3.5a6 6 0 1 0 8 0',
  refused: 'M8 1.5a6.5 6.5 0 1 0 .1 0zM4 8h8',
  'timed-out': 'M4 2h8M4 14h8M5 2l6 12M11 2L5 14',
  'out-of-memory': 'M3 3h10v10H3zM3 6.5h10M3 10h10',
  'kernel-panic': 'M4 4h8v6H9v3H7v-3H4zM6 6.5v.5M10 6.5v.5',
  hung: 'M4 2h8L4 14h8z',
  corrupt: 'M3 6h10M3 10h10M11 2L5 14',
};

/** The icons once, to be used by name. */
export const iconSheet = (): Markup =>
  html`<svg width="0" height="0" aria-hidden="true" hidden>${join(
    Object.entries(ICONS).map(
      ([fate, d]) => html`<symbol id="i-${fate}" viewBox="0 0 16 16"><path d="${d}"/></symbol>`,
    ),
  )}</svg>`;

/** The icon of a fate; always beside its word. */
export const icon = (fate: Fate): Markup =>
  html`<svg class="i" aria-hidden="true"><use href="#i-${fate}"/></svg>`;

/** Icon and word of a fate, on its colour. */
export const tag = (fate: Fate): Markup =>
  html`<span class="tag t-${fate}">${icon(fate)} ${FATE_WORDS[fate].word}</span>`;

/** What the filter looks at: names in lower case. */
export const filterText = (...names: readonly string[]): string => names.join(' ').toLowerCase();

/** A head of a table; `n` sets it as a number. */
export interface Head {
  readonly text: string;
  readonly n?: boolean;
  readonly title?: string;
}

/** A table that can be sorted, in a box that scrolls sideways and can be reached by keyboard. */
export function table(
  caption: string,
  heads: readonly Head[],
  rows: readonly Markup[],
  kind = 'sort',
): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="${kind}"><thead><tr>${join(
    heads.map(
      (h) =>
        html`<th scope="col"${h.n ? new Markup(' class="n"') : undefined}${h.title ? html` title="${h.title}"` : undefined}>${h.text}</th>`,
    ),
  )}</tr></thead><tbody>${join(rows, '\n')}</tbody></table></div>`;
}

/** Cells of a row; numbers are set to the right. */
export const td = (hole: Hole): Markup => html`<td>${hole}</td>`;
/** A number; what it sorts as is its text without commas. */
export const tdNumber = (hole: Hole): Markup => html`<td class="n">${hole}</td>`;

/** Runs of a scenario in the order of the strategies. */
export const runsOf = (c: Comparison, scenario: string): readonly Run[] =>
  c.runs.filter((r) => r.scenario === scenario);
