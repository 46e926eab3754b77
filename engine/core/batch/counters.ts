/** What a hot loop does on a fresh machine, counted: the same on every machine, so compared for equality. */
import { FACT_WORDS } from '../../facts.ts';
import { DECISIONS, type FaultPolicy, type Patch } from '../../policy.ts';
import { STEPS } from '../../steps.ts';
import { Fault } from '../kvm/fault/fault.ts';
import { STEP_COUNTS, type Vm, WORDS } from '../vm.ts';
import { type BenchMachine, ROM_64, type RomSpec } from './bench-machine.ts';
import { LoopSet, type Op } from './loops.ts';

/** Counts of one loop, and the digest of what it did. */
export type LoopCounters = Readonly<Record<string, number | string>>;

/** Something extra that a self-test has the loops do: one look-up more a batch. */
export type Plant = 'lookup' | undefined;

/** A last patch that changes nothing and counts how often each decision was asked for. */
function countingPatch(): { readonly patch: Patch; readonly calls: () => number } {
  let calls = 0;
  const counted =
    (decide: (...args: never[]) => unknown) =>
    (...args: never[]): unknown => {
      calls++;
      return decide(...args);
    };
  const apply = (kvm: FaultPolicy): Partial<FaultPolicy> =>
    Object.fromEntries(DECISIONS.map((d) => [d, counted(kvm[d])])) as Partial<FaultPolicy>;
  const patch: Patch = { name: 'count-decisions', subject: 'counts decisions', source: 'benchmark', apply };
  return { patch, calls: () => calls };
}

interface Totals {
  readonly faults: number;
  readonly steps: number;
  readonly exits: number;
  readonly heap: number;
  readonly frames: number;
}

function totals(bench: BenchMachine): Totals {
  const { vm } = bench.machine;
  return {
    faults: sum(vm, WORDS, FACT_WORDS),
    steps: sum(vm, STEP_COUNTS, STEPS.length),
    exits: bench.batch.exits,
    heap: vm.brk,
    frames: vm.frames,
  };
}

function sum(vm: Vm, at: number, n: number): number {
  let total = 0;
  for (let i = 0; i < n; i++) total += vm.h[at + i]!;
  return total;
}

function oneFault(gfn: number): Fault {
  const fault = new Fault();
  fault.begin(gfn, 0);
  return fault;
}

/** Counts every loop of a ROM on fresh machines. */
export function countLoops(rom: RomSpec, plant: Plant): ReadonlyMap<Op, LoopCounters> {
  const { patch, calls } = countingPatch();
  const set = new LoopSet({ ...rom, series: [...rom.series, patch] });
  const tabulated = calls();
  return new Map(
    set.loops().map((loop): [Op, LoopCounters] => {
      const bench = loop.op === 'rom-write-cached' ? set.cached : set.plain;
      loop.prepare?.();
      const before = totals(bench);
      const asked = calls();
      loop.run();
      if (plant === 'lookup') bench.machine.mmu.decide(oneFault(ROM_64[0]!));
      const after = totals(bench);
      const counters = {
        accesses: loop.operations,
        lookups: after.faults - before.faults,
        steps: after.steps - before.steps,
        exits: after.exits - before.exits,
        'policy calls': calls() - asked,
        'policy calls to tabulate': tabulated,
        'heap ints allocated': after.heap - before.heap,
        'frames allocated': after.frames - before.frames,
        digest: bench.digest(),
      };
      return [loop.op, counters];
    }),
  );
}
