/** Moves and integer arithmetic. Every handler reads, computes, stores, and only then changes registers. */

import { type Insn, K_CR, K_DR, K_MEM, K_REG, K_SEG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_UD } from '../../processor-port.ts';
import { CS, RAX, RDX } from '../../regs.ts';
import { moveControl } from '../system/exec-registers.ts';
import { loadSegment } from '../system/segments.ts';
import { addCarry, logicFlags, subBorrow } from './alu.ts';

/** Writes `lo,hi` to operand 0, which was not read before. */
function put(m: Processor, i: Insn): number {
  if (i.k0 === K_MEM) m.ea(i);
  return m.writeDst(i);
}

export function mov(m: Processor, i: Insn): number {
  if (i.k0 === K_SEG) return movToSegment(m, i);
  if (i.k1 === K_SEG) {
    m.lo = m.regs.segSel[i.r1]! & 0xffff;
    m.hi = 0;
    // A selector fills a register's whole operand, but only two bytes of memory.
    return put(m, i);
  }
  if (i.k0 === K_CR || i.k0 === K_DR || i.k1 === K_CR || i.k1 === K_DR) return moveControl(m, i);
  const stop = m.read(i, i.k1, i.r1, i.size);
  return stop !== 0 ? stop : put(m, i);
}

/** MOV to a segment register. */
function movToSegment(m: Processor, i: Insn): number {
  if (i.r0 === CS || i.r0 > 5) return m.raise(VECTOR_UD, -1);
  const stop = m.read(i, i.k1, i.r1, 2);
  if (stop !== 0) return stop;
  return loadSegment(m, i.r0, m.lo & 0xffff);
}

export function movzx(m: Processor, i: Insn): number {
  const stop = m.read(i, i.k1, i.r1, i.size1);
  if (stop === 0) m.setReg(i.r0, i.size, m.lo, 0);
  return stop;
}

export function movsx(m: Processor, i: Insn): number {
  const stop = m.read(i, i.k1, i.r1, i.size1);
  if (stop !== 0) return stop;
  const s = 32 - 8 * i.size1;
  const v = (m.lo << s) >> s;
  m.setReg(i.r0, i.size, v, v >> 31);
  return 0;
}

export function lea(m: Processor, i: Insn): number {
  if (i.k1 !== K_MEM) return m.raise(VECTOR_UD, -1);
  const off = m.ea(i);
  m.setReg(i.r0, i.size, off | 0, Math.floor(off / 4294967296) | 0);
  return 0;
}

export function add(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  addCarry(m, i.size, 0);
  return m.writeDst(i);
}

export function adc(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  addCarry(m, i.size, m.cf);
  return m.writeDst(i);
}

export function sub(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  subBorrow(m, i.size, 0);
  return m.writeDst(i);
}

export function sbb(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  subBorrow(m, i.size, m.cf);
  return m.writeDst(i);
}

export function cmp(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop === 0) subBorrow(m, i.size, 0);
  return stop;
}

export function and(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  m.lo = m.dLo & m.sLo;
  m.hi = m.dHi & m.sHi;
  logicFlags(m, i.size);
  return m.writeDst(i);
}

export function or(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  m.lo = m.dLo | m.sLo;
  m.hi = m.dHi | m.sHi;
  logicFlags(m, i.size);
  return m.writeDst(i);
}

export function xor(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  m.lo = m.dLo ^ m.sLo;
  m.hi = m.dHi ^ m.sHi;
  logicFlags(m, i.size);
  if (i.k1 === K_REG && i.k0 === K_REG && i.r0 === i.r1) m.fw = 0;
  return m.writeDst(i);
}

export function test(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  m.lo = m.dLo & m.sLo;
  m.hi = m.dHi & m.sHi;
  logicFlags(m, i.size);
  return 0;
}

/** INC and DEC: an addition of 1 that leaves CF alone. */
function step(m: Processor, i: Insn, down: boolean): number {
  const stop = m.readDst(i);
  if (stop !== 0) return stop;
  const cf = m.cf;
  m.sLo = 1;
  m.sHi = 0;
  if (down) subBorrow(m, i.size, 0);
  else addCarry(m, i.size, 0);
  m.cf = cf;
  return m.writeDst(i);
}

export function inc(m: Processor, i: Insn): number {
  return step(m, i, false);
}

export function dec(m: Processor, i: Insn): number {
  return step(m, i, true);
}

export function neg(m: Processor, i: Insn): number {
  const stop = m.readDst(i);
  if (stop !== 0) return stop;
  const lo = m.dLo;
  const hi = m.dHi;
  m.sLo = lo;
  m.sHi = hi;
  m.dLo = 0;
  m.dHi = 0;
  subBorrow(m, i.size, 0);
  // A locked store compares with what was read.
  m.dLo = lo;
  m.dHi = hi;
  return m.writeDst(i);
}

export function not(m: Processor, i: Insn): number {
  const stop = m.readDst(i);
  if (stop !== 0) return stop;
  m.lo = i.size === 1 ? ~m.dLo & 0xff : i.size === 2 ? ~m.dLo & 0xffff : ~m.dLo;
  m.hi = i.size === 8 ? ~m.dHi : 0;
  return m.writeDst(i);
}

export function xchg(m: Processor, i: Insn): number {
  // Either operand may be the memory one; locked or not, the register gets what was there.
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  m.lo = m.sLo;
  m.hi = m.sHi;
  const refused = m.writeDst(i);
  if (refused === 0) m.setReg(i.r1, i.size, m.dLo, m.dHi);
  return refused;
}

export function xadd(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  addCarry(m, i.size, 0);
  const lo = m.lo;
  const hi = m.hi;
  if (i.k0 === K_REG) m.setReg(i.r1, i.size, m.dLo, m.dHi);
  m.lo = lo;
  m.hi = hi;
  const refused = m.writeDst(i);
  if (refused === 0 && i.k0 !== K_REG) m.setReg(i.r1, i.size, m.dLo, m.dHi);
  return refused;
}

/** A failed compare writes the old value back: processors do, and so does KVM since 3.11. */
export function cmpxchg(m: Processor, i: Insn): number {
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  const newLo = m.sLo;
  const newHi = m.sHi;
  const oldLo = m.dLo;
  const oldHi = m.dHi;
  m.getReg(RAX, i.size);
  m.dLo = m.lo;
  m.dHi = m.hi;
  m.sLo = oldLo;
  m.sHi = oldHi;
  subBorrow(m, i.size, 0);
  m.dLo = oldLo;
  m.dHi = oldHi;
  const equal = m.fz === 0;
  m.lo = equal ? newLo : oldLo;
  m.hi = equal ? newHi : oldHi;
  if (i.k0 === K_MEM || equal) {
    const refused = m.writeDst(i);
    if (refused !== 0) return refused;
  }
  if (!equal) m.setReg(RAX, i.size, oldLo, oldHi);
  return 0;
}

export function cwde(m: Processor, i: Insn): number {
  // CBW, CWDE, CDQE: the lower half of the accumulator, sign-extended.
  const half = i.opSize >> 1;
  m.getReg(RAX, half);
  const s = 32 - 8 * half;
  const v = (m.lo << s) >> s;
  m.setReg(RAX, i.opSize, v, v >> 31);
  return 0;
}

export function cdq(m: Processor, i: Insn): number {
  // CWD, CDQ, CQO: the accumulator's sign into RDX.
  m.getReg(RAX, i.opSize);
  const top = i.opSize === 8 ? m.hi : m.lo << (32 - 8 * i.opSize);
  m.setReg(RDX, i.opSize, top >> 31, top >> 31);
  return 0;
}
