/** The told life of faults: what is numbered, what is folded, who decided, and that it keeps to its width. */
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import type { Life, LifeStep } from '../../engine/observation.ts';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import { findRun, type Run } from '../../scenarios/run/comparison.ts';
import { HOSTILE, hostile, sampleComparison } from '../testing.ts';
import { explainText } from './explain-text.ts';

const c = await sampleComparison({
  scenarios: ['rom-write'],
  strategies: ['readonly-memslot', 'mmap-prot-read'],
  cost: LINUX_61_NPT,
});
const run = findRun(c, 'rom-write', 'readonly-memslot')!;

const ESC = String.fromCharCode(27);

/** The text of a run, as wide as asked. */
function told(r: Run, width = 80, bold = false): string {
  const strategy = c.strategies.find((s) => s.name === r.strategy)!;
  return explainText(r, c.scenarios[0]!, strategy, { width, bold });
}

/** The lines that begin a life, or say that some went the same way. */
const numbered = (text: string): string[] => text.split('\n').filter((l) => /^\d+( to \d+)?\. /.test(l));

describe('lives', () => {
  const first = run.life!.find((l) => l.access === 'write');
  const life = (gpa: string): Life => ({ ...first!, gpa });
  const of = (...gpas: string[]): string[] =>
    numbered(told({ ...run, life: gpas.map(life) })).map((l) => l.replace(/ of gpa 0x(.*), rip.*/, ' $1'));

  test('are numbered from 1 in the order of the run', () => {
    expect(of('a')).toEqual(['1. write a']);
    expect(of('a', 'b', 'a')).toEqual(['1. write a', '2. write b', '3. write a']);
  });

  test('that go as the one before are said once, under the numbers they have', () => {
    expect(of('a', 'a')).toEqual(['1. write a', '2. The same again.']);
    expect(of('a', 'a', 'a', 'b')).toEqual(['1. write a', '2 to 3. The same again.', '4. write b']);
    expect(of('a', 'b', 'b', 'b', 'b', 'c', 'c', 'a')).toEqual([
      '1. write a',
      '2. write b',
      '3 to 5. The same again.',
      '6. write c',
      '7. The same again.',
      '8. write a',
    ]);
  });

  test('what repeats inside of one is counted', () => {
    const round: readonly LifeStep[] = [
      { at: 'KVM_RUN', says: 'stores' },
      { at: 'x86_emulate_insn()', says: 'answers' },
    ];
    const steps = Array.from({ length: 5 }, () => round).flat();
    const text = told({ ...run, life: [{ ...first!, steps }] });
    expect(text).toContain('   … the same 4 times more\n');
    expect(text.match(/answers/g)).toHaveLength(1);
  });

  test('none, and none that could be seen, are two things', () => {
    expect(told({ ...run, life: [] })).toContain('No fault was taken.');
    const { life: _, ...blind } = run;
    expect(told(blind)).toContain('does not see what happens inside the kernel');
    expect(told(blind)).not.toContain('No fault was taken');
    expect(told(run)).not.toMatch(/No fault was taken|does not see/);
  });
});

test('who decided is said at every decision: the patch, or the base', () => {
  expect(told(run, 200)).toMatch(
    /^ +__gfn_to_hva_many\(\) .*: no address ← decided by patch introduce-readonly-memslot$/m,
  );
  // A step that is told of another function names the one that decides.
  expect(told(run, 200)).toMatch(/^ +kvm_handle_error_pfn\(\) .*-memslot in kvm_handle_bad_page\(\)$/m);
  const stock = told(findRun(c, 'rom-write', 'mmap-prot-read')!, 200);
  expect(stock).toMatch(/← decided by the base/);
  expect(stock).not.toContain('decided by patch');
  expect(stock).toContain('Series: none, the base kernel decides');
  expect(told(run, 200)).toContain('introduce-readonly-memslot (gfnToHva, handleBadPage)');
});

test('prices stand beside the steps that have one, in whole units of the profile', () => {
  expect(told(run, 200)).toMatch(/ the host maps the page \[2562 instructions\]$/m);
  const ticks = { ...run, cost: { ...run.cost!, unit: 'TSC ticks' } };
  expect(told(ticks, 200)).toMatch(/ the host maps the page \[2562 TSC ticks\]$/m);
});

test('fate, reason and digest end it', () => {
  const lines = told(run, 400).trimEnd().split('\n');
  expect(lines.slice(-3).map((l) => l.trim())).toEqual([
    `Fate: ok. ${run.detail}`,
    run.because,
    `Digest ${run.digest}.`,
  ]);
  expect(told({ ...run, finding: 'flash' }, 400)).toContain('\nFinding: flash.\n');
});

test.each([50, 60, 80, 100])('no line is wider than %i columns, whatever is told', (width) => {
  const evil = hostile(c);
  const text = explainText(evil.runs[0]!, evil.scenarios[0]!, evil.strategies[0]!, { width, bold: false });
  for (const r of [told(run, width), text])
    for (const line of r.split('\n')) expect(stringWidth(line), line).toBeLessThanOrEqual(width);
  expect(text).not.toContain(HOSTILE);
  expect(text).not.toMatch(/[\p{Cf}]/u);
  expect(text).not.toContain(ESC);
});

test('bold only adds', () => {
  const bold = told(run, 80, true);
  expect(bold).toContain(`${ESC}[1mrom-write under readonly-memslot, npt paging${ESC}[22m`);
  expect(bold.replaceAll(new RegExp(`${ESC}\\[\\d+m`, 'g'), '')).toBe(told(run, 80));
});
