import { describe, expect, it } from 'vitest';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import type { Patch } from '../../engine/policy.ts';
import { PATCHES } from '../../strategies/index.ts';
import { loadText } from '../data/recordings.ts';
import { AGREEMENT } from './agreement.ts';
import { caseSchema } from './case.ts';
import { compareOutcomes } from './compare-outcomes.ts';
import { type ConformOptions, conform, RECORDER_PATIENCE } from './conform.ts';
import { RECORDED_KERNELS, type RecordedKernel } from './kernels.ts';
import { KNOWN_DIFFERENCES } from './known-differences.ts';

const CASES = ['kvm-6.1-cases.jsonl.gz', 'kvm-6.1-families.jsonl.gz'].flatMap((name) =>
  loadText(name)
    .trimEnd()
    .split('\n')
    .map((line) => caseSchema.parse(JSON.parse(line))),
);

function seriesOf(kernel: RecordedKernel): readonly Patch[] {
  return kernel.patches.map((name) => {
    const patch = PATCHES.find((p) => p.name === name);
    if (patch === undefined) throw new Error(`no patch ${name}`);
    return patch;
  });
}

/** Machines of each kernel, with one more patch on top if a test wants to break something. */
function machines(sabotage?: Patch): ConformOptions['createMachine'] {
  const series = new Map(
    RECORDED_KERNELS.map((k) => [k.name, sabotage ? [...seriesOf(k), sabotage] : seriesOf(k)]),
  );
  return (k, vm) =>
    createCoreMachine({
      ...vm,
      series: series.get(k.name) ?? [],
      paging: k.paging,
      budget: RECORDER_PATIENCE,
      lives: 0,
    });
}

describe('the recorded kernels', () => {
  it('agree with the core on every case but the known ones', () => {
    const found = conform({ cases: CASES, kernels: RECORDED_KERNELS, createMachine: machines() });
    const differing = found.cases.map((c) => `${c.kernel} ${c.id}`).toSorted();
    const known = KNOWN_DIFFERENCES.flatMap((k) => k.ids.map((id) => `${k.kernel} ${id}`)).toSorted();
    expect(differing).toEqual(known);
    const agreement = Object.entries(found.kernels).map(([k, { cases, skipped, agree }]) => [
      k,
      { cases: cases - skipped, agree },
    ]);
    expect(Object.fromEntries(agreement)).toEqual(AGREEMENT);
  });
});

describe('a decision broken on purpose is found', () => {
  const patch = (name: string, apply: Patch['apply']): Patch => ({
    name,
    subject: name,
    source: 'test',
    apply,
  });
  const broken: readonly [Patch, RegExp][] = [
    [patch('gfnToHva', () => ({ gfnToHva: (f) => (f.slot ? 0 : 1) })), /matrix\/prot32\/ro\/rw-shm\/mov-/],
    [patch('gupFailed', () => ({ gupFailed: () => 2 })), /story\/prot32\/plain\/r.?-file\/cold-/],
    [patch('handleBadPage', () => ({ handleBadPage: () => 0 })), /matrix\/prot32\/ro\/r-shm\/mov-/],
    [
      patch('reexecuteInstruction', () => ({ reexecuteInstruction: () => true })),
      /matrix\/.*\/ro\/.*\/fst-dword/,
    ],
    [
      patch('handleEmulationFailure', () => ({ handleEmulationFailure: () => 1 })),
      /matrix\/.*\/ro\/.*\/fst-dword/,
    ],
  ];
  it.each(broken)('$name', (sabotage, ids) => {
    const cases = CASES.filter((c) => ids.test(c.id));
    const stock = RECORDED_KERNELS.filter((k) => k.name === 'stock');
    const whole = conform({ cases, kernels: stock, createMachine: machines() });
    expect(whole.differences).toEqual([]);
    const found = conform({ cases, kernels: stock, createMachine: machines(sabotage) });
    expect(found.differences.length).toBeGreaterThan(0);
  });
});

describe('comparison', () => {
  const outcome = {
    slots: [0],
    exits: [{ r: 'HLT' }],
    errno: 0,
    regs: ['0'],
    rip: '1000',
    rflags: '2',
    mem: {},
  };

  it('looks at the flags that are defined, and not at the others', () => {
    const af = { ...outcome, rflags: '12' };
    const cf = { ...outcome, rflags: '3' };
    expect(compareOutcomes('x', 'stock', outcome, af)).toEqual([]);
    expect(compareOutcomes('x', 'stock', outcome, cf).map((d) => d.field)).toEqual(['rflags']);
  });

  it('names the first exit that differs, and a missing one', () => {
    const none = { ...outcome, exits: [] };
    const [first] = compareOutcomes('x', 'stock', outcome, none);
    expect(first).toEqual({
      id: 'x',
      kernel: 'stock',
      field: 'exits[0]',
      expected: 'r=HLT',
      actual: 'nothing',
    });
  });

  it('of a guest that ran away, only exits and errno count', () => {
    const wanders = { ...outcome, wanders: true };
    const elsewhere = { ...outcome, rip: 'dead', regs: ['1'] };
    expect(compareOutcomes('x', 'stock', wanders, elsewhere)).toEqual([]);
  });
});
