/**
 * Counts and digest of a machine, for reports. Most counts follow from how often each fault word was met: the
 * fault path is walked once more for each, with somebody counting.
 */
import { PAGE_SHIFT } from '../abi.ts';
import { FACT_WORDS } from '../facts.ts';
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
  for (const word of vm.eventHash()) hash.int(word);
  for (const word of vcpu.regs.gpr) hash.int(word);
  hash.int(vcpu.regs.rip | 0);
  hash.int(vcpu.regs.eflags);
  for (let id = 0; id < host.backings; id++) {
    const npages = host.backing(id)!.npages;
    for (let page = 0; page < npages; page++) {
      const frame = host.peekFrame(id, page);
      // A page nobody touched holds zeros: its number says so.
      if (frame === 0) continue;
      hash.int(page);
      const at = frame << (PAGE_SHIFT - 2);
      for (let i = 0; i < 1024; i++) hash.int(vm.mem32[at + i]!);
    }
  }
  return hash.hex();
}

/** FNV-1a with 64 bits, a 32-bit word at a time, in two halves of int32. */
class Fnv64 {
  #low = 0x84222325 | 0;
  #high = 0xcbf29ce4 | 0;

  /** Takes in one 32-bit word. */
  int(word: number): void {
    const low = this.#low ^ word;
    // Times 0x100000001b3: the low half times 0x1b3, and the low half moved up by 8 bits of the high word.
    const a = (low & 0xffff) * 0x1b3;
    const b = (low >>> 16) * 0x1b3 + (a >>> 16);
    this.#high = (Math.imul(this.#high, 0x1b3) + (low << 8) + (b >>> 16)) | 0;
    this.#low = (b << 16) | (a & 0xffff);
  }

  /** Sixteen hex digits. */
  hex(): string {
    const half = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return half(this.#high) + half(this.#low);
  }
}
