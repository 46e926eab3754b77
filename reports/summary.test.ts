/** The verdict on a Comparison: who came through, who was nearest and by what rule, what became of the others. */
import { describe, expect, test } from 'vitest';
import { noDecisions } from '../engine/policy.ts';
import type { Comparison, Run } from '../scenarios/run/comparison.ts';
import { summarize, verdict } from './summary.ts';
import { sampleComparison } from './testing.ts';

const several = await sampleComparison({
  scenarios: ['rom-read', 'rom-read-cold', 'rom-write', 'reexecute-loop'],
  strategies: ['mmap-prot-read', 'readonly-memslot', 'readonly-memslot-v5', 'coexist'],
});

/** The Comparison with some runs changed. */
const change = (c: Comparison, by: (r: Run) => Partial<Run>): Comparison => ({
  ...c,
  runs: c.runs.map((r) => ({ ...r, ...by(r) })),
});
const strategies = (c: Comparison, ...names: string[]): Comparison => ({
  ...c,
  strategies: c.strategies.filter((s) => names.includes(s.name)),
  runs: c.runs.filter((r) => names.includes(r.strategy)),
});

describe('the sum', () => {
  test('counts cells, runs, claims, and each strategy by fate', () => {
    const s = summarize(several);
    expect(s).toMatchObject({ cells: 16, ran: 16, broken: 0 });
    expect(s.claims).toBe(several.runs.flatMap((r) => r.claims).length);
    expect(s.claims).toBeGreaterThan(16);
    const [prot, merged] = s.standings;
    expect(prot).toMatchObject({ runs: 4, ok: 1, decisions: 0 });
    expect(prot?.failed.get('efault')).toEqual(['rom-read-cold', 'rom-write', 'reexecute-loop']);
    expect(merged?.failed).toEqual(new Map([['internal-error', ['reexecute-loop']]]));
    // Four decisions rewritten by three patches; one that two of them rewrite would count once.
    expect(merged?.decisions).toBe(4);
  });

  test('a scenario separates strategies by fate, exits or ROM, and by nothing else', () => {
    const two = strategies(several, 'readonly-memslot', 'coexist');
    const all = ['rom-read', 'rom-read-cold', 'rom-write', 'reexecute-loop'];
    expect(summarize(two).alike).toEqual(all);
    const differs = (by: Partial<Run>): readonly string[] =>
      summarize(change(two, (r) => (r.strategy === 'coexist' && r.scenario === 'rom-write' ? by : {}))).alike;
    expect(differs({ digest: 'other' })).toEqual(all);
    const others = all.filter((s) => s !== 'rom-write');
    expect(differs({ romIntact: false })).toEqual(others);
    expect(differs({ fate: 'livelock' })).toEqual(others);
    expect(differs({ exits: { ...two.runs[0]!.exits, hlt: 9 } })).toEqual(others);
    expect(summarize(strategies(several, 'coexist')).alike).toEqual([]);
  });

  test('a scenario in which nothing was decided is named', () => {
    expect(summarize(several).idle).toEqual([]);
    const idle = change(several, (r) => (r.scenario === 'rom-read' ? { decisions: noDecisions() } : {}));
    expect(summarize(idle).idle).toEqual(['rom-read']);
    expect(verdict(idle)).toContain('No decision of the seam was taken in rom-read.');
  });
});

describe('the verdict', () => {
  const survivors = (c: Comparison): readonly string[] => verdict(c).slice(0, 2);

  test('names those that came through everything', () => {
    const c = { ...several, scenarios: several.scenarios.slice(0, 3) };
    const three = { ...c, runs: c.runs.filter((r) => r.scenario !== 'reexecute-loop') };
    expect(verdict(three)[0]).toBe(
      '3 of 4 strategies come through all 3 scenarios with VM and ROM whole: readonly-memslot, readonly-memslot-v5 and coexist.',
    );
    expect(verdict(strategies(three, 'mmap-prot-read', 'coexist'))[0]).toBe(
      '1 of 2 strategies comes through all 3 scenarios with VM and ROM whole: coexist.',
    );
  });

  test('of equals in survival the nearest have the fewest endless loops, and only then the fewest exits', () => {
    // v5 loops for ever in reexecute-loop, where the other two end with an internal error.
    expect(survivors(several)).toEqual([
      'No strategy of 4 comes through all 4 scenarios with VM and ROM whole.',
      'Nearest, with 3 of 4, and then the fewest endless loops and exits: readonly-memslot and coexist.',
    ]);
    const cheap = change(several, (r) =>
      r.strategy === 'readonly-memslot-v5' ? { exits: { ...r.exits, 'mmio-write': 0, hlt: 0 } } : {},
    );
    expect(survivors(cheap)[1]).toContain('exits: readonly-memslot and coexist.');
    const dearer = change(several, (r) =>
      r.strategy === 'coexist' && r.fate === 'ok' ? { exits: { ...r.exits, hlt: r.exits.hlt + 1 } } : {},
    );
    expect(survivors(dearer)[1]).toContain('exits: readonly-memslot.');
  });

  test('says no rule where none was needed, and names nobody where nobody came through anything', () => {
    const two = strategies(several, 'mmap-prot-read', 'coexist');
    expect(survivors(two)[1]).toBe('Nearest, with 3 of 4: coexist.');
    const dead = change(two, () => ({ fate: 'efault' }));
    expect(verdict(dead)[1]).toBe(
      'Other fates (in how many scenarios): EFAULT: mmap-prot-read (4) and coexist (4).',
    );
    expect(verdict({ ...two, runs: [] })[0]).toBe('Nothing was run.');
  });

  test('has the fates of those that failed, the worst first, and the claims', () => {
    const said = verdict(several).join('\n');
    expect(said).toContain(
      'EFAULT: mmap-prot-read (3); internal error: readonly-memslot (1) and coexist (1);',
    );
    expect(said).toContain('livelock: readonly-memslot-v5 (1)');
    expect(said).toContain(`All ${summarize(several).claims} claims hold.`);
    expect(said).not.toContain('cells were run');
  });

  test('says what was not run', () => {
    const part = { ...several, runs: several.runs.slice(0, 5) };
    expect(verdict(part)).toContain('5 of 16 cells were run.');
    expect(verdict({ ...part, interrupted: true })).toContain('5 of 16 cells were run: interrupted.');
  });

  test('names four of a fate and counts the others', async () => {
    const all = await sampleComparison({ scenarios: ['rom-write-unemulatable'] });
    expect(verdict(all).join('\n')).toMatch(/internal error: ([a-z0-9-]+, ){3}[a-z0-9-]+ and 1 more;/);
  });

  test('broken claims are counted', async () => {
    const broken = await sampleComparison({ broken: true });
    expect(verdict(broken).join('\n')).toMatch(/[1-9]\d* of \d+ claims (is|are) broken\./);
  });
});
