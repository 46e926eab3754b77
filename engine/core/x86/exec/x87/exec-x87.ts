/**
 * x87 in doubles. The 80-bit format is converted on load and store, so results that need more than 53 bits of
 * precision differ from a processor's; no store here depends on that but `fstp m80`.
 */

import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_MEM, K_NONE } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { RAX } from '../../regs.ts';
import { bigHi, bigLo, toBig } from '../integer/muldiv.ts';
import { fromExtended, toExtended } from './extended.ts';
import { checked, get, set, statusWord } from './x87-state.ts';

export function pushStack(m: Processor, v: number): void {
  m.regs.fpuTop = (m.regs.fpuTop + 7) & 7;
  set(m, 0, v);
}

export function popStack(m: Processor): void {
  m.regs.fpuTags &= ~(1 << m.regs.fpuTop);
  m.regs.fpuTop = (m.regs.fpuTop + 1) & 7;
}

export const fninit = checked((m) => {
  m.regs.fpuControl = 0x37f;
  m.regs.fpuStatus = 0;
  m.regs.fpuTop = 0;
  m.regs.fpuTags = 0;
  return 0;
});

export const fnclex = checked((m) => {
  m.regs.fpuStatus &= 0x7f00;
  return 0;
});

function constant(v: number): Exec {
  return checked((m) => {
    pushStack(m, v);
    return 0;
  });
}
export const fld1 = constant(1);
export const fldz = constant(0);
export const fldpi = constant(Math.PI);
export const fldl2e = constant(Math.LOG2E);
export const fldln2 = constant(Math.LN2);
export const fldl2t = constant(Math.log2(10));
export const fldlg2 = constant(Math.log10(2));

/** A floating-point memory operand of 4, 8 or 10 bytes, or a stack register; why it was refused is in `m.stopped`. */

export function operand(m: Processor, i: Insn): number {
  m.stopped = 0;
  if (i.k0 !== K_MEM) return get(m, i.k1 === K_NONE ? i.r0 : i.r1);
  const off = m.ea(i);
  m.stopped = i.memSize === 10 ? m.port.loadBytes(i.seg, off, 10) : m.port.load(i.seg, off, i.memSize);
  if (m.stopped !== 0) return Number.NaN;
  if (i.memSize === 10) return fromExtended(m);
  m.words[0] = m.lo;
  m.words[1] = m.hi;
  return i.memSize === 4 ? m.view.getFloat32(0, true) : m.view.getFloat64(0, true);
}

export const fld = checked((m, i) => {
  const v = operand(m, i);
  if (m.stopped === 0) pushStack(m, v);
  return m.stopped;
});

/** A signed integer memory operand of 2, 4 or 8 bytes. */
export function integer(m: Processor, i: Insn): number {
  m.stopped = m.port.load(i.seg, m.ea(i), i.memSize);
  if (i.memSize === 2) return (m.lo << 16) >> 16;
  return i.memSize === 4 ? m.lo : Number(BigInt.asIntN(64, toBig(m.lo, m.hi)));
}

export const fild = checked((m, i) => {
  const v = integer(m, i);
  if (m.stopped === 0) pushStack(m, v);
  return m.stopped;
});

function storeFloat(pop: boolean): Exec {
  return checked((m, i) => {
    const v = get(m, 0);
    let stop = 0;
    if (i.k0 !== K_MEM) set(m, i.r0, v);
    else if (i.memSize === 10) {
      toExtended(m, v, 0);
      stop = m.port.storeBytes(i.seg, m.ea(i), 10);
    } else {
      if (i.memSize === 4) m.view.setFloat32(0, v, true);
      else m.view.setFloat64(0, v, true);
      stop = m.port.store(i.seg, m.ea(i), i.memSize, m.words[0]!, m.words[1]!);
    }
    if (stop === 0 && pop) popStack(m);
    return stop;
  });
}
export const fst = storeFloat(false);
export const fstp = storeFloat(true);

/** Rounds as the control word says (nearest is to even). */
export function round(m: Processor, v: number): number {
  const mode = (m.regs.fpuControl >> 10) & 3;
  if (mode === 1) return Math.floor(v);
  if (mode === 2) return Math.ceil(v);
  if (mode === 3) return Math.trunc(v);
  const f = Math.floor(v);
  const rest = v - f;
  return rest < 0.5 || (rest === 0.5 && f % 2 === 0) ? f : f + 1;
}

function storeInteger(pop: boolean, truncate: boolean): Exec {
  return checked((m, i) => {
    const v = get(m, 0);
    const limit = 2 ** (8 * i.memSize - 1);
    const r = truncate ? Math.trunc(v) : round(m, v);
    // What does not fit becomes the integer indefinite, the most negative number.
    const big = r >= -limit && r < limit ? BigInt(r) : BigInt(-limit);
    const stop = m.port.store(i.seg, m.ea(i), i.memSize, bigLo(big), bigHi(big));
    if (stop === 0 && pop) popStack(m);
    return stop;
  });
}
export const fist = storeInteger(false, false);
export const fistp = storeInteger(true, false);
export const fisttp = storeInteger(true, true);

export const fnstcw = checked((m, i) => m.port.store(i.seg, m.ea(i), 2, m.regs.fpuControl, 0));

export const fldcw = checked((m, i) => {
  const stop = m.port.load(i.seg, m.ea(i), 2);
  if (stop === 0) m.regs.fpuControl = m.lo | 0x40;
  return stop;
});

export const fnstsw = checked((m, i) => {
  if (i.k0 === K_MEM) return m.port.store(i.seg, m.ea(i), 2, statusWord(m), 0);
  m.setReg(RAX, 2, statusWord(m), 0);
  return 0;
});

export const fxch = checked((m, i) => {
  const n = i.k1 === K_NONE ? i.r0 : i.r1;
  const v = get(m, n);
  set(m, n, get(m, 0));
  set(m, 0, v);
  return 0;
});

export const fchs = checked((m) => {
  set(m, 0, -get(m, 0));
  return 0;
});

export const fabs = checked((m) => {
  set(m, 0, Math.abs(get(m, 0)));
  return 0;
});

type Binary = (a: number, b: number) => number;
const plus: Binary = (a, b) => a + b;
const minus: Binary = (a, b) => a - b;
const minusReversed: Binary = (a, b) => b - a;
const times: Binary = (a, b) => a * b;
const over: Binary = (a, b) => a / b;
const overReversed: Binary = (a, b) => b / a;

/** dst = dst op src: ST(0) with memory, or two stack registers of which the `pop` forms drop ST(0). */
function arithmetic(op: Binary, pop: boolean, isInteger: boolean): Exec {
  return checked((m, i) => {
    const v = isInteger ? integer(m, i) : operand(m, i);
    if (i.k0 === K_MEM) {
      if (m.stopped === 0) set(m, 0, op(get(m, 0), v));
      return m.stopped;
    }
    const dst = i.k1 === K_NONE ? 1 : i.r0;
    set(m, dst, op(get(m, dst), i.k1 === K_NONE ? get(m, 0) : v));
    if (pop) popStack(m);
    return 0;
  });
}
export const fadd = arithmetic(plus, false, false);
export const faddp = arithmetic(plus, true, false);
export const fiadd = arithmetic(plus, false, true);
export const fsub = arithmetic(minus, false, false);
export const fsubp = arithmetic(minus, true, false);
export const fisub = arithmetic(minus, false, true);
export const fsubr = arithmetic(minusReversed, false, false);
export const fsubrp = arithmetic(minusReversed, true, false);
export const fmul = arithmetic(times, false, false);
export const fmulp = arithmetic(times, true, false);
export const fimul = arithmetic(times, false, true);
export const fdiv = arithmetic(over, false, false);
export const fdivp = arithmetic(over, true, false);
export const fidiv = arithmetic(over, false, true);
export const fdivr = arithmetic(overReversed, false, false);
export const fdivrp = arithmetic(overReversed, true, false);
export const fisubr = arithmetic(minusReversed, false, true);
export const fidivr = arithmetic(overReversed, false, true);
