/** Multiplication, division, shifts and rotates, and the few that fit nowhere else. */

import { type Insn, K_IMM } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { RAX, RBX } from '../../regs.ts';
import { setResultSized } from './alu.ts';
import { divide, multiply, multiplyWide } from './muldiv.ts';
import { doubleShift, RCL, RCR, ROL, ROR, SAR, SHL, SHR, shift } from './shift.ts';

/** The one operand of the double-width forms, as source. */
function wide(m: Processor, i: Insn): number {
  const stop = m.readDst(i);
  m.sLo = m.dLo;
  m.sHi = m.dHi;
  return stop;
}

export function mul(m: Processor, i: Insn): number {
  const stop = wide(m, i);
  if (stop === 0) multiplyWide(m, i.size, false);
  return stop;
}

export function imul(m: Processor, i: Insn): number {
  if (i.k1 === 0) {
    const stop = wide(m, i);
    if (stop === 0) multiplyWide(m, i.size, true);
    return stop;
  }
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  if (i.k2 === K_IMM) {
    m.read(i, K_IMM, 0, i.size);
    m.dLo = m.lo;
    m.dHi = m.hi;
  }
  multiply(m, i.size);
  return m.writeDst(i);
}

export function div(m: Processor, i: Insn): number {
  const stop = wide(m, i);
  return stop !== 0 ? stop : divide(m, i.size, false);
}

export function idiv(m: Processor, i: Insn): number {
  const stop = wide(m, i);
  return stop !== 0 ? stop : divide(m, i.size, true);
}

/** Shift by operand 1 (CL or an immediate); a count of 0 still writes memory back. */
function shifter(op: number): (m: Processor, i: Insn) => number {
  return (m, i) => {
    m.read(i, i.k1, i.r1, 1);
    const count = m.lo;
    const stop = m.readDst(i);
    if (stop !== 0) return stop;
    shift(m, op, i.size, count);
    if (i.k1 === K_IMM && op >= SHL && count !== 0) m.fw = 8 * i.size;
    return m.writeDst(i);
  };
}
export const rol = shifter(ROL);
export const ror = shifter(ROR);
export const rcl = shifter(RCL);
export const rcr = shifter(RCR);
export const shl = shifter(SHL);
export const shr = shifter(SHR);
export const sar = shifter(SAR);

function doubleShifter(left: boolean): (m: Processor, i: Insn) => number {
  return (m, i) => {
    m.read(i, i.k2, i.r2, 1);
    const count = m.lo;
    const stop = m.readBoth(i);
    if (stop !== 0) return stop;
    doubleShift(m, left, i.size, count);
    if (i.k2 === K_IMM && count !== 0) m.fw = 8 * i.size;
    return m.writeDst(i);
  };
}
export const shld = doubleShifter(true);
export const shrd = doubleShifter(false);

/** XLAT: AL = [seg:RBX + AL]. */
export function xlat(m: Processor, i: Insn): number {
  const off = m.regAddress(RBX, i.addrSize) + (m.gpr[2 * RAX]! & 0xff);
  const stop = m.port.load(i.seg, i.addrSize === 8 ? off : i.addrSize === 4 ? off >>> 0 : off & 0xffff, 1);
  if (stop === 0) m.setReg(RAX, 1, m.lo, 0);
  return stop;
}

export function popcnt(m: Processor, i: Insn): number {
  const stop = m.read(i, i.k1, i.r1, i.size);
  if (stop !== 0) return stop;
  const n = ones(m.lo) + ones(m.hi);
  m.cf = 0;
  m.of = 0;
  m.fa = 0;
  setResultSized(m, 4, n, 0);
  m.fs = 0;
  m.fp = 1;
  m.fw = 0;
  m.setReg(i.r0, i.size, n, 0);
  return 0;
}

function ones(v: number): number {
  let x = v - ((v >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
