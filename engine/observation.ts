/**
 * What a machine can tell about a run besides its exits: counts, a digest, and the life of the first faults.
 */
import type { Decision } from './policy.ts';
import type { Place } from './steps.ts';

/** Guest page faults KVM took, by what came of them (the kernel's RET_PF_* and its own MMIO entries). */
export const FAULT_KINDS = [
  /** A stage-2 entry was made. */
  'fixed',
  /** The instruction was emulated. */
  'emulate',
  /** The instruction was not emulated at once but re-entered first (`retry_instruction()`). */
  'retry',
  /** An MMIO stage-2 entry was hit: no look-up at all. */
  'mmio',
  /** An asynchronous page fault was set up. */
  'async',
  /** KVM_RUN returned an error. */
  'error',
  /** The guest got the #PF as its own (shadow paging). */
  'guest',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** One step in the life of a fault. */
export interface LifeStep {
  /** The kernel function (or the side: guest, hardware, userspace) that acts. */
  readonly at: Place;
  /** What it does, in words. */
  readonly says: string;
  /** The decision of the seam that was taken here, if one was. */
  readonly decision?: Decision;
  /** The patch of the series that decided; absent when the base did. */
  readonly patch?: string;
  /** A further fault begins, and other facts hold than for the one before it. */
  readonly facts?: string;
  /** The steps of `engine/steps.ts` that were taken since the entry before this one. */
  readonly work?: readonly string[];
  /** Predicted instructions of a real kernel for this step, when a cost profile was applied. */
  readonly instructions?: number;
}

/** The life of one fault, or of one access, from the guest's instruction to the guest going on. */
export interface Life {
  /** rip, hex without 0x. */
  readonly rip: string;
  /** The instruction in words where it could be decoded. */
  readonly instruction: string;
  /** gpa, hex without 0x; empty where no walk of the guest's tables led to one. */
  readonly gpa: string;
  /** The linear address, where that is what KVM is told of a fault (shadow paging, the guest's paging on). */
  readonly linear?: string;
  readonly access: 'read' | 'write' | 'fetch';
  /** The facts that held at first, as `describeFacts()` prints them. */
  readonly facts: string;
  /** How many faults it took, by what came of them. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly steps: readonly LifeStep[];
  /** Steps that came after these and were not kept. */
  readonly untold?: number;
}

/** Steps of work the kernel did, by name; the names are those of `engine/steps.ts`. */
export type StepCounts = Readonly<Record<string, number>>;

/** Instructions that a real kernel was seen to execute, by KVM_RUN: entry to exit, the guest's own included. */
export interface MeasuredInstructions {
  /** Calls of KVM_RUN that were counted. */
  readonly runs: number;
  readonly total: number;
  /** Of one KVM_RUN; warm ones repeat exactly, cold ones do not. */
  readonly median: number;
}

/** Counters that KVM itself keeps (KVM_GET_STATS_FD), under its names: those of the vCPU, and of the VM. */
export const KVM_STATISTICS = [
  'pf_taken',
  'pf_fixed',
  'pf_emulate',
  'pf_spurious',
  'pf_fast',
  'pf_mmio_spte_created',
  'exits',
  'io_exits',
  'mmio_exits',
  'signal_exits',
  'insn_emulation',
  'insn_emulation_fail',
  'pages_4k',
  'pages_2m',
] as const;
export type KvmStatistic = (typeof KVM_STATISTICS)[number];

/** A fault that a userfaultfd handler was told of. */
export interface Userfault {
  readonly backing: number;
  /** First byte of the page in it. */
  readonly offset: number;
  readonly write: boolean;
}

/**
 * What a machine saw since its vCPU was set up. Plain data; taking it changes nothing. An engine leaves out what it
 * cannot observe (`Machine.observes` says what that is): absent is not 0.
 */
export interface Observation {
  /** Page faults by what came of them. */
  readonly faults?: Readonly<Record<FaultKind, number>>;
  /** How many times each decision of the seam was taken. */
  readonly decisions?: Readonly<Record<Decision, number>>;
  /** Steps of kernel work. */
  readonly steps?: StepCounts;
  /** Guest instructions the processor retired. */
  readonly instructions?: number;
  /** Guest instructions that KVM's emulator did. */
  readonly emulated?: number;
  /** KVM's own counters; `exits` without those that only interrupts of the host caused. */
  readonly statistics?: Readonly<Record<KvmStatistic, number>>;
  /** Faults that a userfaultfd handler served, in order. */
  readonly userfaults?: readonly Userfault[];
  /** Instructions a real kernel executed in KVM_RUN, counted and not predicted. */
  readonly kernelInstructions?: MeasuredInstructions;
  /** The facts of the last page fault, as `describeFacts()` prints them; '' where it was handled without a look at any. */
  readonly lastFault?: string;
  /** FNV-1a 64 over the event stream, the registers and all memory, 16 hex digits. */
  readonly digest?: string;
}

/** What an engine may be able to observe of a run besides its exits, registers and memory. */
export const OBSERVABLES = [
  'faults',
  'decisions',
  'steps',
  'instructions',
  'emulated',
  'statistics',
  'userfaults',
  'kernelInstructions',
  'lastFault',
  'digest',
  'life',
] as const satisfies readonly (keyof Observation | 'life')[];
export type Observable = (typeof OBSERVABLES)[number];
