/**
 * What each version of a series, and each patch left out of it, changes: a grid against the merged series.
 * The Comparison holds one strategy a version; which is the merged one is said by its name.
 */
import { EXIT_KINDS } from '../../engine/exits.ts';
import { type Comparison, findRun, type Run, type StrategyInfo } from '../../scenarios/run/comparison.ts';
import type { ReportOptions } from '../options.ts';
import { textTable, wrap } from '../print/table.ts';
import { count, FATE_WORDS } from '../print/words.ts';

/** One version in one scenario, held against the merged series. */
export interface SeriesCell {
  /** `=` when nothing a VMM or guest could see differs, else what does. */
  readonly shows: string;
  readonly same: boolean;
  /** The difference in words; empty when there is none. */
  readonly says: string;
}

/** One version of the series. */
export interface SeriesColumn {
  readonly strategy: string;
  /** Short: `v3`, `merged`, `without X`. */
  readonly label: string;
  readonly patches: readonly string[];
  /** A cell a scenario, in the Comparison's order. */
  readonly cells: readonly SeriesCell[];
}

/** The grid. */
export interface SeriesGrid {
  readonly merged: string;
  readonly scenarios: readonly string[];
  readonly columns: readonly SeriesColumn[];
}

/** Builds the grid; `merged` names the strategy that stands for the series as it went in. */
export function seriesGrid(c: Comparison, merged = 'readonly-memslot'): SeriesGrid {
  const scenarios = c.scenarios.map((s) => s.name);
  const columns = c.strategies.map((strategy) => ({
    strategy: strategy.name,
    label: label(strategy, merged),
    patches: strategy.series.map((p) => p.name),
    cells: scenarios.map((s) => cell(findRun(c, s, strategy.name), findRun(c, s, merged))),
  }));
  return { merged, scenarios, columns };
}

/** `merged`, `v3` for `readonly-memslot-v3`, what was left out of the merged series or added to it, or else the name. */
function label({ name, cross }: StrategyInfo, merged: string): string {
  if (name === merged) return 'merged';
  if (cross?.of === merged)
    return [...cross.leftOut.map((p) => `without ${p}`), ...cross.added.map((p) => `with ${p}`)].join(', ');
  return name.startsWith(`${merged}-`) ? name.slice(merged.length + 1) : name;
}

function cell(run: Run | undefined, merged: Run | undefined): SeriesCell {
  if (run === undefined) return { shows: '·', same: true, says: '' };
  const word = FATE_WORDS[run.fate].word;
  if (merged === undefined || run.strategy === merged.strategy) return { shows: word, same: true, says: '' };
  const exits = EXIT_KINDS.filter((k) => run.exits[k] !== merged.exits[k]).map(
    (k) => `${k} exits ${count(merged.exits[k])} → ${count(run.exits[k])}`,
  );
  if (run.fate !== merged.fate) {
    const says = [`${FATE_WORDS[merged.fate].word} → ${word}`, ...exits].join(', ');
    return { shows: word, same: false, says };
  }
  if (exits.length > 0) return { shows: 'exits', same: false, says: exits.join(', ') };
  if (run.romIntact !== merged.romIntact) return { shows: 'ROM', same: false, says: 'the ROM differs' };
  return { shows: '=', same: true, says: '' };
}

/** The grid for a terminal: the merged series spelled out, `=` where a version does the same. */
export function renderSeries(grid: SeriesGrid, options: ReportOptions = {}): string {
  const width = Math.max(40, options.width ?? 80);
  const merged = grid.columns.filter((c) => c.strategy === grid.merged);
  const ordered = [...merged, ...grid.columns.filter((c) => c.strategy !== grid.merged)];
  const table = textTable(
    [
      { head: 'scenario', cells: grid.scenarios },
      ...ordered.map((c) => ({ head: c.label, cells: c.cells.map((x) => x.shows) })),
    ],
    width,
  );
  const differences = ordered.flatMap((column) => {
    const lines = grid.scenarios.flatMap((scenario, i) => {
      const says = column.cells[i]?.says ?? '';
      return says === '' ? [] : wrap(`${scenario}: ${says}`, width - 2, '    ').map((l) => `  ${l}`);
    });
    const patches = column.patches.length === 0 ? 'no patch' : column.patches.join(', ');
    if (column.strategy === grid.merged) return wrap(`${column.label}: ${patches}`, width, '    ');
    return [
      '',
      ...wrap(`${column.label}: ${patches}`, width, '    '),
      ...(lines.length > 0 ? lines : ['  changes nothing that could be seen here']),
    ];
  });
  return `${[...table, '', ...differences].join('\n')}\n`;
}
