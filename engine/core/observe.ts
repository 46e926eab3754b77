/**
 * Counts and digest of a machine, for reports. Most counts follow from how often each fault word was met: the
 * fault path is walked once more for each, with somebody counting.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../abi.ts';
import { describeFacts, FACT_WORDS } from '../facts.ts';
import { Fnv64 } from '../fnv.ts';
import type { FaultKind, Observation } from '../observation.ts';
import { DECISIONS, type Decision, type FaultPolicy, type Patch } from '../policy.ts';
import { noSteps, STEPS, type Step } from '../steps.ts';
import type { AddressSpace } from './host/address-space.ts';
import { type FaultCounts, HOW_STALE, HOWS, kindOfVerdict } from './kvm/fault/fault.ts';
import { compileSeries, walkFault, writablePfn } from './kvm/fault/fault-path.ts';
import type { Vcpu } from './kvm/vcpu.ts';
import { statistics } from './statistics.ts';
import { STEP_COUNTS, type Vm, WORDS } from './vm.ts';

interface Counts {
  readonly faults: Record<FaultKind, number>;
  readonly decisions: Record<Decision, number>;
  readonly steps: Record<Step, number>;
}

/** What the core counts. */
export type CoreCounts = Omit<CoreObservation, 'digest'>;

/** What the core sees: everything but what a real kernel executed. */
export type CoreObservation = Required<Omit<Observation, 'kernelInstructions'>>;

/** Takes the counts of a vCPU and the digest of its machine. */
export function observe(vcpu: Vcpu, host: AddressSpace, series: readonly Patch[]): CoreObservation {
  return { ...countsOf(vcpu, series), digest: digest(vcpu, host) };
}

/** Takes the counts alone: no memory is looked at. */
export function countsOf(vcpu: Vcpu, series: readonly Patch[]): CoreCounts {
  const { vm } = vcpu.mmu;
  const { policy } = compileSeries(series);
  const counts = countWords(vm, policy);
  const kvm = statistics(vcpu, counts.faults);
  STEPS.forEach((step, i) => {
    counts.steps[step] += vm.h[STEP_COUNTS + i]!;
  });
  const { emulation } = vcpu;
  for (const [word, times] of emulation.reexecuteWords) {
    writablePfn(word, policy, (_at, _says, step) => {
      if (step !== undefined) counts.steps[step] += times;
    });
  }
  countWays(counts.faults, vcpu.mmu.taken);
  counts.decisions.handleEmulationFailure += emulation.failed;
  counts.decisions.reexecuteInstruction += emulation.failed + emulation.reexecuted;
  return {
    ...counts,
    instructions: vcpu.cpu.instructions,
    lastFault: vcpu.fault.word < 0 ? '' : describeFacts(vcpu.fault.word),
    emulated: emulation.emulated,
    statistics: kvm,
    userfaults: [...vcpu.mmu.host.faults.userfaults],
  };
}

function countWords(vm: Vm, policy: FaultPolicy): Counts {
  const faults = { fixed: 0, emulate: 0, retry: 0, mmio: 0, async: 0, error: 0, guest: 0 };
  const decisions = Object.fromEntries(DECISIONS.map((d) => [d, 0])) as Record<Decision, number>;
  const steps = noSteps();
  for (let word = 0; word < FACT_WORDS; word++) {
    const times = vm.h[WORDS + word]!;
    if (times === 0) continue;
    steps['page-fault'] += times;
    const verdict = walkFault(word, policy, (_at, _says, step, asked) => {
      if (step !== undefined) steps[step] += times;
      if (asked !== undefined) decisions[asked.decision] += times;
    });
    const kind = kindOfVerdict(verdict);
    if (kind !== undefined) faults[kind] += times;
  }
  return { faults, decisions, steps };
}

/** Faults that did not go through the fault path, and those of which the emulator made a second try first. */
function countWays(faults: Record<FaultKind, number>, taken: FaultCounts): void {
  HOWS.forEach(({ kind = 'emulate' }, how) => {
    // What went through the path is counted already, as mapped if the host had not changed meanwhile…
    if (how === HOW_STALE) faults.fixed -= taken.hows[how]!;
    // …and of that, only emulations are put off.
    faults[kind] += taken.hows[how]! - taken.retried[how]!;
    faults.retry += taken.retried[how]!;
  });
}

/** FNV-1a 64 over events, registers and all memory of the VMM's backings. */
function digest(vcpu: Vcpu, host: AddressSpace): string {
  const { vm } = vcpu.mmu;
  const hash = new Fnv64();
  hash.take(vm.eventHash());
  hash.take(vcpu.regs.gpr);
  hash.take([vcpu.regs.rip | 0, vcpu.regs.eflags]);
  for (let id = 0; id < host.backings; id++) {
    const npages = host.backing(id)!.npages;
    for (let page = 0; page < npages; page++) {
      const frame = host.peekFrame(id, page);
      // A page nobody touched holds zeros: its number says so.
      if (frame === 0) continue;
      hash.take([page]);
      const at = frame << (PAGE_SHIFT - 2);
      hash.take(vm.mem32, at, at + PAGE_SIZE / 4);
    }
  }
  return hash.hex();
}
