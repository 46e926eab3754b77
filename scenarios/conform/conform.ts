/**
 * Conformance: recorded cases on the core, under each recorded kernel, compared event by event.
 */
import { type Machine, MachineCannot, MachineLost, type VmOptions } from '../../engine/machine.ts';
import type { CaseOutcome, OracleCase, RecordedOutcome } from './case.ts';
import { compareOutcomes, type Difference } from './compare-outcomes.ts';
import { DigestMemo, expectsCounters, runCase } from './conform-case.ts';
import { type RecordedKernel, UNMODELLED_KERNELS } from './kernels.ts';
import { knownReason } from './known-differences.ts';

/** Counts of one kernel, or of one family of cases under it. */
export interface Tally {
  cases: number;
  agree: number;
  differ: number;
  skipped: number;
}

/** A case that differs, with both transcripts. */
export interface DifferingCase {
  readonly id: string;
  readonly kernel: string;
  readonly asm: string;
  readonly expected: CaseOutcome;
  readonly actual: CaseOutcome;
  readonly differences: readonly Difference[];
  /** Why the core is known to differ here, where it is (known-differences.ts). */
  readonly known?: string;
}

/** What `conform` found. */
export interface Conformance {
  readonly kernels: Record<string, Tally>;
  /** By kernel, then by family (`matrix/prot32/ro`). */
  readonly families: Record<string, Record<string, Tally>>;
  readonly differences: Difference[];
  readonly cases: DifferingCase[];
  /** Cases that could not be compared: they ask for what the core does not know. */
  readonly unsupported: { readonly id: string; readonly kernel: string; readonly says: string }[];
  /** Kernels of which the core has no base: cases run on them, and those that went otherwise than on stock. */
  readonly unmodelled: Record<string, { cases: number; otherwise: number }>;
}

/** What to run and how. */
export interface ConformOptions {
  readonly cases: Iterable<OracleCase>;
  readonly kernels: readonly RecordedKernel[];
  /** Makes a fresh machine that behaves like the kernel, with the VM that the case asks for. */
  readonly createMachine: (kernel: RecordedKernel, vm: VmOptions) => Machine;
  /** Called after each case with the number of kernel-cases done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

/** Runs every case under every kernel it was recorded on. */
export function conform(options: ConformOptions): Conformance {
  const result = noConformance();
  let done = 0;
  for (const c of options.cases) {
    if (options.signal?.aborted === true) break;
    const memo = new DigestMemo();
    countUnmodelled(c, result);
    for (const kernel of options.kernels) {
      conformOne(c, kernel, options.createMachine, memo, result);
      options.onProgress?.(++done);
    }
  }
  return result;
}

/** Nothing found yet. */
export const noConformance = (): Conformance => ({
  kernels: {},
  families: {},
  differences: [],
  cases: [],
  unsupported: [],
  unmodelled: {},
});

function countUnmodelled(c: OracleCase, { unmodelled }: Conformance): void {
  for (const { name } of UNMODELLED_KERNELS) {
    if (!wasRun(c, name)) continue;
    unmodelled[name] ??= { cases: 0, otherwise: 0 };
    unmodelled[name].cases++;
    if (c.expect[name] !== undefined) unmodelled[name].otherwise++;
  }
}

/**
 * Was the case run on the kernel? A kernel of which a case says nothing did what stock did; but cases whose recordings
 * hold KVM's counters were run on the kernels they name and on no other.
 */
function wasRun(c: OracleCase, kernel: string): boolean {
  if (c.notRun?.includes(kernel) === true) return false;
  return c.expect[kernel] !== undefined || (c.expect.stock !== undefined && !expectsCounters(c));
}

function conformOne(
  c: OracleCase,
  kernel: RecordedKernel,
  createMachine: ConformOptions['createMachine'],
  memo: DigestMemo,
  result: Conformance,
): void {
  const tallies = [
    tallyOf(result.kernels, kernel.name),
    tallyOf(familiesOf(result, kernel.name), familyOf(c.id)),
  ];
  const expected: RecordedOutcome | undefined = c.expect[kernel.name] ?? c.expect.stock;
  for (const t of tallies) t.cases++;
  if (expected === undefined || !wasRun(c, kernel.name)) {
    for (const t of tallies) t.skipped++;
    return;
  }
  const actual = runAnyhow(c, (vm) => createMachine(kernel, vm), memo);
  if (actual.unsupported !== undefined) {
    for (const t of tallies) t.skipped++;
    result.unsupported.push({ id: c.id, kernel: kernel.name, says: actual.unsupported });
    return;
  }
  const differences = compareOutcomes(c.id, kernel.name, expected, actual);
  for (const t of tallies) {
    if (differences.length === 0) t.agree++;
    else t.differ++;
  }
  if (differences.length === 0) return;
  for (const d of differences) result.differences.push(d);
  const known = knownReason(c.id, kernel.name);
  const differing = { id: c.id, kernel: kernel.name, asm: c.asm, expected, actual, differences };
  result.cases.push(known === undefined ? differing : { ...differing, known });
}

/**
 * A real kernel that dies of a case differs from the recorded one, and its last words stand where the exits would. A
 * case that the engine has no way to set up is not compared.
 */
function runAnyhow(c: OracleCase, createMachine: (vm: VmOptions) => Machine, memo: DigestMemo): CaseOutcome {
  const nothing = { slots: [], exits: [], errno: 0 };
  try {
    return runCase(c, createMachine, memo);
  } catch (error) {
    if (error instanceof MachineCannot) return { ...nothing, unsupported: error.message };
    if (!(error instanceof MachineLost)) throw error;
    return { ...nothing, exits: [{ r: `${error.fate}: ${error.message}` }] };
  }
}

function tallyOf(tallies: Record<string, Tally>, name: string): Tally {
  tallies[name] ??= { cases: 0, agree: 0, differ: 0, skipped: 0 };
  return tallies[name];
}

function familiesOf(result: Conformance, kernel: string): Record<string, Tally> {
  result.families[kernel] ??= {};
  return result.families[kernel];
}

/** `matrix/prot32/ro`, `story/long64/plain`, `slots`, `fuzz/real16`. */
function familyOf(id: string): string {
  const parts = id.split('/');
  if (parts[0] === 'fuzz') return `fuzz/${parts[3] ?? ''}`;
  return ['slots', 'apf'].includes(parts[0] ?? '')
    ? parts.slice(0, -1).slice(0, 2).join('/')
    : parts
        .slice(0, 3)
        .slice(0, Math.max(1, parts.length - 1))
        .join('/');
}

/**
 * What the recorder's patience (a second without an exit) comes to here: the budget of one `run()` in guest
 * instructions of this core. Wide enough for the longest recorded run that ended by itself.
 */
export const RECORDER_PATIENCE = 2 ** 23;
