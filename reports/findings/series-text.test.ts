/** The series grid: what a version does otherwise than the merged series is seen, whatever it is. */
import { describe, expect, test } from 'vitest';
import type { Run } from '../../scenarios/run/comparison.ts';
import { PATCHES, STRATEGIES, type Strategy, withPatches } from '../../strategies/index.ts';
import { sampleComparison } from '../testing.ts';
import { renderSeries, type SeriesCell, seriesGrid } from './series-text.ts';

const [merged] = STRATEGIES.filter((s) => s.name === 'readonly-memslot');

/** The merged series with patches added and left out. */
function cross(add: readonly string[], without: readonly string[]): Strategy {
  const added = PATCHES.filter((p) => add.includes(p.name));
  const made = withPatches(merged!, added, without);
  if ('error' in made) throw new Error(made.error);
  return made.strategy;
}

const c = await sampleComparison({
  scenarios: ['rom-write', 'reexecute-loop'],
  strategies: [
    'readonly-memslot-v3',
    'readonly-memslot',
    'readonly-memslot-v5',
    'coexist',
    cross(['gup-tells-readonly'], []),
    cross([], ['introduce-readonly-memslot']),
    cross(['leave-looping'], ['judge-vma-by-access', 'reexecute-writable-pfn']),
  ],
});

describe('the grid', () => {
  const grid = seriesGrid(c);
  const column = (label: string): readonly string[] =>
    grid.columns.find((x) => x.label === label)?.cells.map((x) => x.shows) ?? [];

  test('versions are named briefly, crosses by their patches, strangers in full', () => {
    expect(grid.columns.map((x) => x.label)).toEqual([
      'v3',
      'merged',
      'v5',
      'coexist',
      'with gup-tells-readonly',
      'without introduce-readonly-memslot',
      'without judge-vma-by-access, without reexecute-writable-pfn, with leave-looping',
    ]);
  });

  test('each is held against the merged series', () => {
    expect(column('merged')).toEqual(['ok', 'internal error']);
    expect(column('v5')).toEqual(['=', 'livelock']);
    expect(column('with gup-tells-readonly')).toEqual(['=', '=']);
    expect(column('without introduce-readonly-memslot')[0]).toBe('corrupt');
  });

  test('the text has the merged series first, and a line for every difference', () => {
    const text = renderSeries(grid, { width: 120 });
    expect(text).toMatch(/^scenario +merged +v3 +v5 +coexist /m);
    expect(text).toContain('merged: judge-vma-by-access, introduce-readonly-memslot, reexecute-writable-pfn');
    expect(text).toContain('reexecute-loop: internal error → livelock');
    const [, same = ''] = text.split('with gup-tells-readonly: ');
    expect(same.split('\n')[1]).toBe('  changes nothing that could be seen here');
    expect(text.match(/changes nothing/g)).toHaveLength(3);
  });
});

describe('a cell', () => {
  /** The cell of coexist in rom-write, its run changed. */
  const changed = (by: Partial<Run>): SeriesCell | undefined => {
    const runs = c.runs.map((r) => (r.strategy === 'coexist' ? { ...r, ...by } : r));
    return seriesGrid({ ...c, runs }).columns.find((x) => x.strategy === 'coexist')?.cells[0];
  };
  const exits = c.runs[0]!.exits;

  test('is the same where nothing that can be seen differs', () => {
    expect(changed({})).toEqual({ shows: '=', same: true, says: '' });
    expect(changed({ digest: 'other', slotOps: 7 })).toEqual({ shows: '=', same: true, says: '' });
  });

  test('tells a fate, exits and the ROM, whatever else is the same', () => {
    expect(changed({ fate: 'efault' })).toEqual({ shows: 'EFAULT', same: false, says: 'ok → EFAULT' });
    expect(changed({ romIntact: false })).toEqual({ shows: 'ROM', same: false, says: 'the ROM differs' });
    expect(changed({ exits: { ...exits, hlt: 1_000, 'mmio-read': 5 } })).toMatchObject({
      shows: 'exits',
      same: false,
      says: expect.stringMatching(/mmio-read exits 0 → 5.*hlt exits 1 → 1,000/),
    });
  });

  test('of a run that is not there is a dot, and nothing is compared with what is not there', () => {
    const without = (name: string) => seriesGrid({ ...c, runs: c.runs.filter((r) => r.strategy !== name) });
    expect(without('coexist').columns[3]?.cells[0]).toEqual({ shows: '·', same: true, says: '' });
    expect(without('readonly-memslot').columns[3]?.cells[0]).toEqual({ shows: 'ok', same: true, says: '' });
  });
});
