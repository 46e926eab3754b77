/** Two outcomes of a case, what a kernel did and what the core did, held against each other field by field. */
import type { CaseExit, CaseOutcome, RecordedOutcome } from './case.ts';

/** CF PF ZF SF OF DF: the flags that are compared (AF is undefined after logic operations). */
const COMPARED_FLAGS = 0x1 | 0x4 | 0x40 | 0x80 | 0x800 | 0x400;

const REGISTERS = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
/** KVM's counters that are compared. What the recorder's host did to a run (its timer) is in none of them. */
const VCPU_COUNTERS = [
  ...['pf_taken', 'pf_fixed', 'pf_emulate', 'pf_spurious', 'pf_fast', 'pf_mmio_spte_created'],
  ...['exits', 'io_exits', 'mmio_exits', 'signal_exits', 'insn_emulation', 'insn_emulation_fail'],
];
const VM_COUNTERS = ['pages_4k', 'pages_2m'];
/** Fields of an exit that older recordings do not have. */
const LATER_FIELDS = ['ndata', 'flags', 'insn'];

/** One thing that came out otherwise than recorded. */
export interface Difference {
  readonly id: string;
  readonly kernel: string;
  /** `slots`, `exits[3]`, `errno`, `regs.rax`, `rip`, `rflags`, `mem.1`. */
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

/** Everything in which two outcomes differ, in the order a reader would look. */
export function compareOutcomes(
  id: string,
  kernel: string,
  expected: RecordedOutcome,
  actual: CaseOutcome,
): Difference[] {
  const found: Difference[] = [];
  const check = (field: string, want: string, got: string): void => {
    if (want !== got) found.push({ id, kernel, field, expected: want, actual: got });
  };
  check('slots', JSON.stringify(expected.slots), JSON.stringify(actual.slots));
  const n = Math.max(expected.exits.length, actual.exits.length);
  for (let i = 0; i < n; i++)
    check(`exits[${i}]`, exitText(expected.exits[i]), exitText(told(expected.exits[i], actual.exits[i])));
  check('errno', `${expected.errno}`, `${actual.errno}`);
  if (expected.wanders === true) return found;
  for (const [i, value] of (expected.regs ?? []).entries())
    check(`regs.${REGISTERS[i]}`, value, `${actual.regs?.[i]}`);
  if (expected.rip !== undefined) check('rip', expected.rip, `${actual.rip}`);
  if (expected.rflags !== undefined) check('rflags', flagsText(expected.rflags), flagsText(actual.rflags));
  for (const [slot, digest] of Object.entries(expected.mem ?? {})) {
    check(`mem.${slot}`, digest, `${actual.mem?.[slot]}`);
  }
  if (actual.vcpu === undefined || expected.vcpu === undefined) return found;
  for (const name of VCPU_COUNTERS)
    check(`vcpu.${name}`, counterText(expected.vcpu, name), counterText(actual.vcpu, name));
  for (const name of VM_COUNTERS)
    check(`vm.${name}`, counterText(expected.vm ?? {}, name), counterText(actual.vm ?? {}, name));
  check('uffd', JSON.stringify(expected.uffd ?? []), JSON.stringify(actual.uffd ?? []));
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

/** An exit as far as the recorded one says: fields that the recorder did not write down yet are left out. */
function told(expected: CaseExit | undefined, actual: CaseExit | undefined): CaseExit | undefined {
  if (actual === undefined || expected === undefined) return actual;
  const fields = Object.entries(actual).filter(([k]) => k in expected || !LATER_FIELDS.includes(k));
  return Object.fromEntries(fields) as CaseExit;
}

/** A counter; one that is not named is 0. `exits` without those that an interrupt of the host caused. */
function counterText(counters: Readonly<Record<string, number>>, name: string): string {
  const interrupts = name === 'exits' ? (counters.irq_exits ?? 0) : 0;
  return `${(counters[name] ?? 0) - interrupts}`;
}
