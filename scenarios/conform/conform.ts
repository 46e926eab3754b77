/**
 * Conformance: recorded cases on the core, under each recorded kernel, compared event by event.
 */
import type { Machine } from '../../engine/machine.ts';
import type { CaseExit, CaseOutcome, OracleCase } from './conform-case.ts';
import { DigestMemo, runCase } from './conform-case.ts';
import type { RecordedKernel } from './kernels.ts';
import { knownReason } from './known-differences.ts';

/** CF PF ZF SF OF DF: the flags that are compared (AF is undefined after logic operations). */
const COMPARED_FLAGS = 0x1 | 0x4 | 0x40 | 0x80 | 0x800 | 0x400;

/** One thing that came out otherwise than recorded. */
export interface Difference {
  readonly id: string;
  readonly kernel: string;
  /** `slots`, `exits[3]`, `errno`, `regs.rax`, `rip`, `rflags`, `mem.1`. */
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

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
  /** Cases that could not be compared: the guest used an instruction that the core does not know. */
  readonly unsupported: { readonly id: string; readonly kernel: string; readonly says: string }[];
}

/** What to run and how. */
export interface ConformOptions {
  readonly cases: Iterable<OracleCase>;
  readonly kernels: readonly RecordedKernel[];
  /** Makes a fresh machine that behaves like the kernel. */
  readonly createMachine: (kernel: RecordedKernel) => Machine;
  /** Called after each case with the number of kernel-cases done. */
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
}

const REGISTERS = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];

/** Runs every case under every kernel it was recorded on. */
export function conform(options: ConformOptions): Conformance {
  const result: Conformance = { kernels: {}, families: {}, differences: [], cases: [], unsupported: [] };
  let done = 0;
  for (const c of options.cases) {
    if (options.signal?.aborted === true) break;
    const memo = new DigestMemo();
    for (const kernel of options.kernels) {
      conformOne(c, kernel, options.createMachine, memo, result);
      options.onProgress?.(++done);
    }
  }
  return result;
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
  const expected = c.expect[kernel.name] ?? c.expect.stock;
  for (const t of tallies) t.cases++;
  if (expected === undefined || c.notRun?.includes(kernel.name) === true) {
    for (const t of tallies) t.skipped++;
    return;
  }
  const actual = runCase(c, createMachine(kernel), memo);
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
  return parts[0] === 'slots' ? 'slots' : parts.slice(0, 3).join('/');
}

/** Everything in which two outcomes differ, in the order a reader would look. */
export function compareOutcomes(
  id: string,
  kernel: string,
  expected: CaseOutcome,
  actual: CaseOutcome,
): Difference[] {
  const found: Difference[] = [];
  const check = (field: string, want: string, got: string): void => {
    if (want !== got) found.push({ id, kernel, field, expected: want, actual: got });
  };
  check('slots', JSON.stringify(expected.slots), JSON.stringify(actual.slots));
  const n = Math.max(expected.exits.length, actual.exits.length);
  for (let i = 0; i < n; i++) check(`exits[${i}]`, exitText(expected.exits[i]), exitText(actual.exits[i]));
  check('errno', `${expected.errno}`, `${actual.errno}`);
  if (expected.wanders === true || expected.regs === undefined) return found;
  REGISTERS.forEach((name, i) => {
    check(`regs.${name}`, `${expected.regs?.[i]}`, `${actual.regs?.[i]}`);
  });
  check('rip', `${expected.rip}`, `${actual.rip}`);
  check('rflags', flagsText(expected.rflags), flagsText(actual.rflags));
  for (const [slot, digest] of Object.entries(expected.mem ?? {})) {
    check(`mem.${slot}`, digest, `${actual.mem?.[slot]}`);
  }
  return found;
}

/** An exit with its fields in one order, so that equal exits are equal strings. */
function exitText(exit: CaseExit | undefined): string {
  if (exit === undefined) return 'nothing';
  const fields = Object.entries(exit).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return fields.map(([k, v]) => `${k}=${v}`).join(' ');
}

function flagsText(rflags: string | undefined): string {
  return (Number.parseInt(rflags ?? '0', 16) & COMPARED_FLAGS).toString(16);
}

/**
 * What the recorder's patience (a second without an exit) comes to here: the budget of one `run()` in guest
 * instructions of this core. Wide enough for the longest recorded run that ended by itself.
 */
export const RECORDER_PATIENCE = 2 ** 21;
