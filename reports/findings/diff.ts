/**
 * Two Comparisons side by side: flips of fate first, then counts that changed, then costs. Exact numbers are
 * compared exactly; times of a machine only where their intervals do not touch.
 */
import { type Comparison, type Fate, findRun, type Run } from '../../scenarios/run/comparison.ts';
import type { ReportOptions } from '../options.ts';
import { wrap } from '../print/table.ts';
import { count, FATE_WORDS, hasOperations, list, medianInterval, perOperation } from '../print/words.ts';

/** A cell whose fate, or whose ROM, came out differently. */
export interface Flip {
  readonly scenario: string;
  readonly strategy: string;
  readonly from: Fate;
  readonly to: Fate;
  readonly kind: 'broke' | 'fixed' | 'other';
}

/** A number that changed. */
export interface Change {
  readonly scenario: string;
  readonly strategy: string;
  /** `exits.mmio-write`, `steps/op`, … */
  readonly quantity: string;
  readonly from: number;
  readonly to: number;
}

/** What differs between two Comparisons. */
export interface ComparisonDiff {
  /** Cells in both, of all cells in either. */
  readonly compared: number;
  readonly cells: number;
  /** Cells of both with one digest: the same event for event. */
  readonly identical: number;
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Seed, paging, profile or version differ: to be read before the rest. */
  readonly warnings: readonly string[];
  readonly flips: readonly Flip[];
  readonly counts: readonly Change[];
  readonly costs: readonly Change[];
}

/** Compares cell by cell. */
export function diffComparisons(before: Comparison, after: Comparison): ComparisonDiff {
  const pairs = before.runs.flatMap((a) => {
    const b = findRun(after, a.scenario, a.strategy);
    return b === undefined ? [] : [[a, b] as const];
  });
  const missing = (from: Comparison, to: Comparison): string[] =>
    from.runs.filter((r) => findRun(to, r.scenario, r.strategy) === undefined).map(cellName);
  const onlyBefore = missing(before, after);
  const onlyAfter = missing(after, before);
  return {
    compared: pairs.length,
    cells: pairs.length + onlyBefore.length + onlyAfter.length,
    identical: pairs.filter(([a, b]) => a.digest === b.digest).length,
    onlyBefore,
    onlyAfter,
    warnings: warnings(before, after),
    flips: pairs.flatMap(([a, b]) => flip(a, b)),
    counts: pairs.flatMap(([a, b]) => changes(a, b, exactCounts)),
    costs: pairs.flatMap(([a, b]) => [...changes(a, b, costs), ...timeChange(a, b)]),
  };
}

const cellName = (r: Run): string => `${r.scenario} / ${r.strategy}`;

function warnings(a: Comparison, b: Comparison): string[] {
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['paging', a.paging, b.paging],
    ['seed', a.seed, b.seed],
    ['cost profile', a.profile ?? 'none', b.profile ?? 'none'],
    ['version', a.version, b.version],
  ];
  return pairs
    .filter(([, x, y]) => x !== y)
    .map(([what, x, y]) => `${what} differs: ${String(x)}, then ${String(y)}`);
}

function flip(a: Run, b: Run): Flip[] {
  if (a.fate === b.fate) return [];
  const kind = a.fate === 'ok' ? 'broke' : b.fate === 'ok' ? 'fixed' : 'other';
  return [{ scenario: a.scenario, strategy: a.strategy, from: a.fate, to: b.fate, kind }];
}

type Numbers = Readonly<Record<string, number>>;

function changes(a: Run, b: Run, of: (r: Run) => Numbers): Change[] {
  const [x, y] = [of(a), of(b)];
  return [...new Set([...Object.keys(x), ...Object.keys(y)])].flatMap((quantity) => {
    const [from, to] = [x[quantity] ?? 0, y[quantity] ?? 0];
    return from === to ? [] : [{ scenario: a.scenario, strategy: a.strategy, quantity, from, to }];
  });
}

/** Nothing where the engine did not see it: only what both sides have can change. */
const prefixed = (prefix: string, of: Numbers | undefined): [string, number][] =>
  Object.entries(of ?? {}).map(([k, n]) => [`${prefix}.${k}`, n]);

const exactCounts = (r: Run): Numbers =>
  Object.fromEntries([
    ...prefixed('exits', r.exits),
    ...prefixed('faults', r.faults),
    ['slot ops', r.slotOps],
    ['ROM intact', r.romIntact ? 1 : 0],
    ['operations', r.operations],
    ...prefixed('decisions', r.decisions),
  ]);

const costs = (r: Run): Numbers => ({
  ...(hasOperations(r) && r.stepsPerOperation !== undefined ? { 'steps/op': r.stepsPerOperation } : {}),
  ...(r.cost && hasOperations(r) ? { 'kernel insns/op': r.cost.perOperation } : {}),
});

/** Times differ when their 95 % intervals do not touch; anything less is noise. */
function timeChange(a: Run, b: Run): Change[] {
  if (!a.timing || !b.timing) return [];
  const [x, y] = [medianInterval(a.timing), medianInterval(b.timing)];
  if (x.low <= y.high && y.low <= x.high) return [];
  return [
    { scenario: a.scenario, strategy: a.strategy, quantity: 'ns/op here', from: x.median, to: y.median },
  ];
}

/** The difference for a terminal. */
export function renderDiff(diff: ComparisonDiff, options: ReportOptions = {}): string {
  const width = Math.max(40, options.width ?? 80);
  const only = (when: string, cells: readonly string[]): string[] =>
    cells.length === 0 ? [] : wrap(`Only ${when}: ${cellsInShort(cells)}`, width, '  ');
  return `${[
    ...wrap(
      `${count(diff.compared)} of ${count(diff.cells)} cells compared; ${count(diff.identical)} the same event for event.`,
      width,
    ),
    ...diff.warnings.flatMap((w) => wrap(`Note: ${w}.`, width, '  ')),
    ...only('before', diff.onlyBefore),
    ...only('after', diff.onlyAfter),
    '',
    ...flipLines(diff.flips, width),
    ...changeLines('Counts that changed (exact)', diff.counts, width),
    ...changeLines('Costs that changed', diff.costs, width),
  ].join('\n')}`;
}

/** So many cells are named one by one; of more, the scenarios are named with how many of each. */
const CELLS_NAMED = 6;

function cellsInShort(cells: readonly string[]): string {
  if (cells.length <= CELLS_NAMED) return cells.join(', ');
  const by = new Map<string, number>();
  for (const cell of cells) {
    const scenario = cell.slice(0, cell.lastIndexOf(' / '));
    by.set(scenario, (by.get(scenario) ?? 0) + 1);
  }
  return `${count(cells.length)} cells, of ${list([...by].map(([name, n]) => `${name} (${n})`))}`;
}

const KINDS = { broke: 'BROKE', fixed: 'fixed', other: 'other' } as const;

function flipLines(flips: readonly Flip[], width: number): string[] {
  if (flips.length === 0) return ['No fate changed.', ''];
  const order = Object.keys(KINDS);
  const lines = flips
    .toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
    .map((f) => ({
      ...f,
      says: `${FATE_WORDS[f.from].word} → ${FATE_WORDS[f.to].word}`,
      mark: `${KINDS[f.kind]} `,
    }));
  return ['Fates that changed', ...together(lines, width), ''];
}

function changeLines(title: string, changed: readonly Change[], width: number): string[] {
  if (changed.length === 0) return [`${title}: none.`, ''];
  const cells = new Map<string, { scenario: string; strategy: string; says: string }>();
  for (const x of changed) {
    const key = JSON.stringify([x.scenario, x.strategy]);
    const before = cells.get(key);
    const says = `${x.quantity} ${perOperation(x.from)} → ${perOperation(x.to)} (${relative(x)})`;
    cells.set(key, { ...x, says: before === undefined ? says : `${before.says}, ${says}` });
  }
  return [title, ...together([...cells.values()], width), ''];
}

/** Lines for cells; strategies of which the same is to be said share one. */
function together(
  cells: readonly {
    readonly scenario: string;
    readonly strategy: string;
    readonly says: string;
    readonly mark?: string;
  }[],
  width: number,
): string[] {
  const lines = new Map<string, string[]>();
  const heads = new Map<string, readonly [string, string]>();
  for (const { scenario, strategy, says, mark = '' } of cells) {
    const key = JSON.stringify([scenario, says]);
    lines.set(key, [...(lines.get(key) ?? []), strategy]);
    heads.set(key, [mark + scenario, says]);
  }
  return [...heads].flatMap(([key, [head, says]]) =>
    wrap(`${head} / ${(lines.get(key) ?? []).join(', ')}: ${says}`, width - 2, '    ').map((l) => `  ${l}`),
  );
}

function relative({ from, to }: Change): string {
  if (from === 0) return 'new';
  const percent = ((to - from) / from) * 100;
  return `${percent > 0 ? '+' : ''}${percent.toFixed(1)}%`;
}
