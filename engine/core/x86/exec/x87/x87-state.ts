/** The x87 register stack: the parts that arithmetic and state images share. */
import type { Exec } from '../../insn/executable.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_NM } from '../../processor-port.ts';
import { CR0_EM, CR0_TS } from '../../regs.ts';

/** x87 needs CR0.EM and CR0.TS clear; both give #NM. */
function usable(m: Processor): number {
  return m.regs.cr0 & (CR0_EM | CR0_TS) ? m.raise(VECTOR_NM, -1) : 0;
}

/** An x87 instruction with that check in front. */
export function checked(run: Exec): Exec {
  return (m, i) => {
    const stop = usable(m);
    return stop !== 0 ? stop : run(m, i);
  };
}

/** ST(n). */
export function get(m: Processor, n: number): number {
  return m.regs.st[(m.regs.fpuTop + n) & 7]!;
}

/** Writes ST(n), and marks it in use. */
export function set(m: Processor, n: number, v: number): void {
  const r = (m.regs.fpuTop + n) & 7;
  m.regs.st[r] = v;
  m.regs.fpuTags |= 1 << r;
}

/** The status word, with the top of the stack in its place. */
export function statusWord(m: Processor): number {
  return (m.regs.fpuStatus & ~0x3800) | (m.regs.fpuTop << 11);
}
