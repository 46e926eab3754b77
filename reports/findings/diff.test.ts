/** Two comparisons side by side, and the thread's claims. */
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import type { Comparison, Run } from '../../scenarios/run/comparison.ts';
import { HOSTILE, sampleComparison } from '../testing.ts';
import { claimsJson, claimsTally, claimsText, type ThreadClaimResult } from './claims-text.ts';
import { diffComparisons, renderDiff } from './diff.ts';

const base = await sampleComparison({
  scenarios: ['rom-write', 'reexecute-loop'],
  cost: LINUX_61_NPT,
  timing: true,
});

/** The comparison with one run changed. */
const change = (c: Comparison, strategy: string, by: Partial<Run>): Comparison => ({
  ...c,
  runs: c.runs.map((r) =>
    r.strategy === strategy && r.scenario === 'rom-write' ? { ...r, ...by, digest: 'new' } : r,
  ),
});

describe('diff', () => {
  test('a comparison does not differ from itself', () => {
    const diff = diffComparisons(base, structuredClone(base));
    expect(diff).toMatchObject({ compared: 24, cells: 24, identical: 24, flips: [], counts: [], costs: [] });
    expect(renderDiff(diff)).toContain('No fate changed.');
  });

  test('many cells that only one side has are told by scenario', () => {
    const less = { ...base, runs: base.runs.filter((r) => r.scenario === 'rom-write') };
    expect(renderDiff(diffComparisons(less, base))).toContain('Only after: 12 cells, of reexecute-loop (12)');
  });

  test('flips of fate come first, the broken ones before the fixed ones', () => {
    const after = change(change(base, 'mmap-prot-read', { fate: 'ok' }), 'readonly-memslot', {
      fate: 'livelock',
    });
    const diff = diffComparisons(base, after);
    expect(diff.flips.map((f) => f.kind).toSorted()).toEqual(['broke', 'fixed']);
    const text = renderDiff(diff);
    expect(text.indexOf('BROKE')).toBeLessThan(text.indexOf('fixed rom-write'));
    expect(text).toContain('  BROKE rom-write / readonly-memslot: ok → livelock');
    expect(diff.identical).toBe(22);
  });

  test('a count is compared exactly, a time only where the intervals do not touch', () => {
    const run = base.runs.find((r) => r.strategy === 'coexist');
    const timing = run?.timing ?? { nsPerOp: 0, mad: 0, samples: 0, raw: [] };
    const times = (f: number): Partial<Run> => ({
      timing: { ...timing, nsPerOp: timing.nsPerOp * f, raw: timing.raw.map((x) => x * f) },
    });
    expect(diffComparisons(base, change(base, 'coexist', times(1.01))).costs).toEqual([]);
    expect(diffComparisons(base, change(base, 'coexist', times(2))).costs).toMatchObject([
      { quantity: 'ns/op here' },
    ]);
    const counted = diffComparisons(base, change(base, 'coexist', { slotOps: 1 }));
    expect(counted.counts).toMatchObject([{ quantity: 'slot ops', from: 0, to: 1 }]);
  });

  test('cells of one side and other conditions are named', () => {
    const after = { ...base, seed: 2, runs: base.runs.slice(1) };
    const diff = diffComparisons(base, after);
    expect(diff.onlyBefore).toEqual(['rom-write / mmap-prot-read']);
    expect(diff.warnings).toEqual(['seed differs: 1, then 2']);
    for (const line of renderDiff(diff).split('\n')) expect(stringWidth(line)).toBeLessThanOrEqual(80);
  });
});

describe('claims of the thread', () => {
  const results: ThreadClaimResult[] = [
    {
      id: 'cold-read-crashes',
      who: 'Xiao Guangrong',
      message: '7 August 2012',
      claim: 'A cold read of read-only memory crashes the VM.',
      scenarios: ['rom-read-cold'],
      strategies: ['mmap-prot-read'],
      verdict: 'holds',
      evidence: 'fate efault',
    },
    {
      id: 'hostile',
      who: HOSTILE,
      message: HOSTILE,
      claim: HOSTILE,
      scenarios: [],
      strategies: [],
      verdict: 'holds-if',
      condition: 'if paging is shadow',
      evidence: HOSTILE,
    },
  ];

  test('the JSON has the fields that scripts read', () => {
    const { claims } = JSON.parse(claimsJson(results)) as { claims: Record<string, unknown>[] };
    expect(claims[0]).toMatchObject({ id: 'cold-read-crashes', scenario: 'rom-read-cold', verdict: 'holds' });
    for (const key of ['id', 'who', 'claim', 'scenario', 'strategies', 'verdict', 'evidence'])
      expect(claims[1]).toHaveProperty(key);
  });

  test('the text keeps to its width and counts', () => {
    expect(claimsTally(results)).toBe(
      '2 claims of the thread: 1 hold, 0 fail, 1 hold only under a condition.',
    );
    for (const line of claimsText(results, { width: 80 }).split('\n'))
      expect(stringWidth(line)).toBeLessThanOrEqual(80);
  });
});
