/**
 * Counts and digest of a machine, for reports. Most counts follow from how often each fault word was met: the
 * fault path is walked once more for each, with somebody counting.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../abi.ts';
import { FACT_WORDS } from '../facts.ts';
import { Fnv64 } from '../fnv.ts';
import type { FaultKind, Observation } from '../observation.ts';
import { DECISIONS, type Decision, type FaultPolicy, type Patch } from '../policy.ts';
import { noSteps, STEPS, type Step } from '../steps.ts';
import type { AddressSpace } from './host/address-space.ts';
import {
  compileSeries,
  V_ACTION,
  V_ASYNC,
  V_EFAULT,
  V_EMULATE,
  V_EMULATE_MMIO,
  V_MAP,
  walkFault,
  writablePfn,
} from './kvm/fault/fault-path.ts';
import type { Vcpu } from './kvm/vcpu.ts';
import { STEP_COUNTS, type Vm, WORDS } from './vm.ts';

/** Which kind of fault a verdict's action makes. */
const KIND_OF_ACTION: Readonly<Record<number, FaultKind>> = {
  [V_MAP]: 'fixed',
  [V_EMULATE]: 'emulate',
  [V_EMULATE_MMIO]: 'emulate',
  [V_EFAULT]: 'error',
  [V_ASYNC]: 'async',
};

interface Counts {
  readonly faults: Record<FaultKind, number>;
  readonly decisions: Record<Decision, number>;
  readonly steps: Record<Step, number>;
}

/** What the core sees: everything but what a real kernel executed. */
export type CoreObservation = Required<Omit<Observation, 'kernelInstructions'>>;

/** Takes the counts of a vCPU and the digest of its machine. */
export function observe(vcpu: Vcpu, host: AddressSpace, series: readonly Patch[]): CoreObservation {
  const { vm } = vcpu.mmu;
  const { policy } = compileSeries(series);
  const counts = countWords(vm, policy);
  STEPS.forEach((step, i) => {
    counts.steps[step] += vm.h[STEP_COUNTS + i]!;
  });
  const { emulation } = vcpu;
  for (const [word, times] of emulation.reexecuteWords) {
    writablePfn(word, policy, (_at, _says, step) => {
      if (step !== undefined) counts.steps[step] += times;
    });
  }
  counts.faults.fixed += vcpu.mmu.fastFixed;
  counts.faults.mmio += vcpu.mmu.mmioFaults;
  counts.faults.retry += emulation.retried;
  counts.faults.emulate -= Math.min(counts.faults.emulate, emulation.retried);
  counts.faults.guest += vcpu.pageFaults.injected;
  counts.decisions.handleEmulationFailure += emulation.failed;
  counts.decisions.reexecuteInstruction += emulation.failed + emulation.reexecuted;
  return {
    ...counts,
    instructions: vcpu.cpu.instructions,
    emulated: emulation.emulated,
    digest: digest(vcpu, host),
  };
}

function countWords(vm: Vm, policy: FaultPolicy): Counts {
  const faults = { fixed: 0, emulate: 0, retry: 0, mmio: 0, async: 0, error: 0, guest: 0 };
  const decisions = Object.fromEntries(DECISIONS.map((d) => [d, 0])) as Record<Decision, number>;
  const steps = noSteps();
  for (let word = 0; word < FACT_WORDS; word++) {
    const times = vm.h[WORDS + word]!;
    if (times === 0) continue;
    const verdict = walkFault(word, policy, (_at, _says, step, decision) => {
      if (step !== undefined) steps[step] += times;
      if (decision !== undefined) decisions[decision] += times;
    });
    const kind = KIND_OF_ACTION[verdict & V_ACTION];
    if (kind !== undefined) faults[kind] += times;
  }
  return { faults, decisions, steps };
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
