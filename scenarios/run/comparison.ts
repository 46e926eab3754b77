/**
 * The Comparison: all runs of one invocation, as plain JSON. Everything that is printed, written, gated or
 * drawn is a pure function of it; nothing downstream runs an engine or reads a clock.
 */
import type { ExitKind } from '../../engine/exits.ts';
import type { EngineName, Paging } from '../../engine/machine.ts';
import type { FaultKind, Life, MeasuredInstructions, StepCounts } from '../../engine/observation.ts';
import type { Decision } from '../../engine/policy.ts';
import type { Cross } from '../../strategies/strategy.ts';

/** Changes when a reader of the JSON would have to change. */
export const COMPARISON_SCHEMA = 'faultline-comparison/1';

/** What became of the VM. Anything but `ok` is worth a sentence (`Run.detail`). */
export const FATES = [
  /** The guest finished, and the ROM holds what it should. */
  'ok',
  /** KVM_RUN returned -EFAULT and the VMM had no answer: the VM crashed. */
  'efault',
  /** KVM_EXIT_INTERNAL_ERROR: the VM crashed. */
  'internal-error',
  /** The guest makes no progress: nothing it does changes anything any more. */
  'livelock',
  /** A bound on exits or instructions was reached while the guest was still getting on: nobody knows how it ends. */
  'gave-up',
  /** The engine does not know what the guest asked of its processor: no verdict on anybody. */
  'unsupported',
  /** The guest shut down (triple fault). */
  'shutdown',
  /** A call of the VMM's was refused (-EINVAL and the like) and the guest could not go on. */
  'refused',
  /** The guest finished, but the ROM's bytes changed, or the guest read wrong ones. */
  'corrupt',
  /** The run was ended from outside at its deadline: nobody knows how it ends. */
  'timed-out',
  /** The run was ended from outside for the memory it took. */
  'out-of-memory',
  /** A real kernel under test died of the guest, or of something else meanwhile: a finding about that kernel. */
  'kernel-panic',
  /** A real kernel under test did not come back. */
  'hung',
] as const;
export type Fate = (typeof FATES)[number];

/** A strategy, as reports name it. */
export interface StrategyInfo {
  readonly name: string;
  /** What it is, in a sentence. */
  readonly cover: string;
  /** Message, commit or VMM it stands for. */
  readonly source: string;
  /** Its memory layout in words: slot flags, mapping, protection, alias. */
  readonly layout: string;
  readonly series: readonly PatchInfo[];
  /** Of a strategy with patches added or left out. */
  readonly cross?: Cross;
}

/** A patch, as reports name it: `decisions` is its diffstat. */
export interface PatchInfo {
  readonly name: string;
  readonly subject: string;
  readonly source: string;
  readonly decisions: readonly Decision[];
}

/** A scenario, as reports name it. */
export interface ScenarioInfo {
  readonly name: string;
  /** The question it asks. */
  readonly asks: string;
  /** What one guest operation is, for "per operation" columns: `store`, `page`, `flash command`. */
  readonly operation: string;
  readonly source: string;
  readonly params: Readonly<Record<string, number | string>>;
}

/** A count that has a closed form, beside what was measured. */
export interface Prediction {
  /** What is counted, e.g. `exits.mmio-write`. */
  readonly quantity: string;
  /** The formula in words or symbols, e.g. `2 N + 1`. */
  readonly formula: string;
  readonly predicted: number;
  readonly measured: number;
}

/** What became of a claim that the engine can say nothing about. */
export const NOT_OBSERVABLE = 'not observable';

/** One claim of a scenario about a strategy, checked on this run. */
export interface ClaimResult {
  /** What was claimed, e.g. `fate is ok`. */
  readonly claim: string;
  /** Message of the thread, kernel function or our own reasoning. */
  readonly source: string;
  /** `not observable`: about something that this engine cannot observe, so neither held nor broken. */
  readonly holds: boolean | typeof NOT_OBSERVABLE;
  /** What was seen, where the claim does not hold. */
  readonly seen?: string;
}

/** An attempted write to the ROM. */
export interface RomWrite {
  readonly rip: string;
  readonly gpa: string;
  /** Bytes, hex. */
  readonly data: string;
  /** What became of it: `mmio exit`, `landed`, `efault`, … */
  readonly became: string;
}

/** This core's own speed, measured with tinybench in batches: of this machine, and of no other. */
export interface Timing {
  /** Median nanoseconds per operation, and the median absolute deviation. */
  readonly nsPerOp: number;
  readonly mad: number;
  readonly samples: number;
  /** Every sample's nanoseconds per operation, in the order taken. */
  readonly raw: readonly number[];
}

/** Predicted instructions of a real kernel. */
export interface Cost {
  /** The profile's name. */
  readonly profile: string;
  /** What is counted: `instructions` unless the profile says otherwise. */
  readonly unit?: string;
  readonly total: number;
  readonly perOperation: number;
  /** Instructions by step; they add up to `total`. */
  readonly byStep: Readonly<Record<string, number>>;
  /** Steps that were taken and that the profile has no price for, with how often. */
  readonly unpriced?: Readonly<Record<string, number>>;
}

/**
 * One scenario under one strategy. Counts, lives and the digest are absent where the engine cannot observe them: absent is
 * not 0, and a report shows a dash.
 */
export interface Run {
  readonly scenario: string;
  readonly strategy: string;
  readonly paging: Paging;
  readonly engine: EngineName;
  readonly fate: Fate;
  /** One line: how the VM ended, in plain words. */
  readonly detail: string;
  /** What the guest found out, where the scenario is about that. */
  readonly finding?: string;
  /** One sentence: why, with the message of the thread or the kernel function behind it. */
  readonly because: string;
  /** Exits to userspace by kind; `efault` counts KVM_RUN returning -EFAULT. */
  readonly exits: Readonly<Record<ExitKind, number>>;
  readonly faults?: Readonly<Record<FaultKind, number>>;
  /** Memory-slot ioctls the VMM made while the guest ran. */
  readonly slotOps: number;
  /** The ROM holds the bytes the VMM put there, and no others. */
  readonly romIntact: boolean;
  /** Guest operations done (of `ScenarioInfo.operation`); 0 when the VM died before the first. */
  readonly operations: number;
  /** How many times each decision of the seam was taken. */
  readonly decisions?: Readonly<Record<Decision, number>>;
  readonly steps?: StepCounts;
  /** Steps of work per operation, exact. */
  readonly stepsPerOperation?: number;
  readonly cost?: Cost;
  /** Instructions a real kernel was seen to execute, where the engine counts them. */
  readonly measured?: MeasuredInstructions;
  readonly timing?: Timing;
  readonly predictions: readonly Prediction[];
  readonly claims: readonly ClaimResult[];
  /** The first faults, step by step. */
  readonly life?: readonly Life[];
  /** The first attempted writes to the ROM. */
  readonly romWrites: readonly RomWrite[];
  /** FNV-1a over the whole event stream and the final state, hex: same inputs, same digest. */
  readonly digest?: string;
}

/** All runs of one invocation. */
export interface Comparison {
  readonly schema: typeof COMPARISON_SCHEMA;
  /** Version of this program. */
  readonly version: string;
  /** The command that makes it again. */
  readonly command: string;
  readonly seed: number;
  readonly paging: Paging;
  /** Name of the cost profile, if one was applied. */
  readonly profile?: string;
  readonly strategies: readonly StrategyInfo[];
  readonly scenarios: readonly ScenarioInfo[];
  readonly runs: readonly Run[];
  /** Agreement with real kernels, when `conform` was run: cases that agree, of how many. */
  readonly conformance?: Readonly<Record<string, { readonly cases: number; readonly agree: number }>>;
  /** True when the invocation was interrupted: `runs` holds what was finished. */
  readonly interrupted?: boolean;
  /** The real kernels that runs were made on, by the name that their strategies carry (`readonly-memslot@base`). */
  readonly kernels?: readonly KernelInfo[];
  /** What was asked for and cannot be shown, with the reason. */
  readonly leftOut?: readonly string[];
}

/** A real kernel that runs were made on. */
export interface KernelInfo {
  readonly name: string;
  readonly engine: EngineName;
  /** `/proc/version`, and what it was booted with. */
  readonly version: string;
}

/** The run of a scenario under a strategy, if it is there. */
export function findRun(c: Comparison, scenario: string, strategy: string): Run | undefined {
  return c.runs.find((r) => r.scenario === scenario && r.strategy === strategy);
}

/** Claims that do not hold, over all runs. */
export function brokenClaims(c: Comparison): { readonly run: Run; readonly claim: ClaimResult }[] {
  return c.runs.flatMap((run) =>
    run.claims.filter((x) => x.holds === false).map((claim) => ({ run, claim })),
  );
}
