/** Decimal adjustments, SALC, and loads of far pointers: rare, but a guest that runs away meets them. */

import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_MEM } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_DE, VECTOR_UD } from '../../processor-port.ts';
import { AF, RAX } from '../../regs.ts';
import { loadSegment } from '../system/segments.ts';
import { setResultSized } from './alu.ts';

/** AL and its flags; OF is kept. */
function setAl(m: Processor, al: number): void {
  m.setReg(RAX, 1, al, 0);
  setResultSized(m, 1, al & 0xff, 0);
  m.fw = 0;
}

/** DAA and DAS. */
function adjustDecimal(subtract: boolean): Exec {
  return (m) => {
    m.getReg(RAX, 1);
    const old = m.lo;
    const half = (m.fa & AF) !== 0 || (old & 15) > 9;
    const full = m.cf !== 0 || old > 0x99;
    const delta = (half ? 6 : 0) + (full ? 0x60 : 0);
    m.cf = full || (subtract && half && old < 6) ? 1 : 0;
    m.fa = half ? AF : 0;
    setAl(m, subtract ? old - delta : old + delta);
    return 0;
  };
}
export const daa = adjustDecimal(false);
export const das = adjustDecimal(true);

/** AAA and AAS: AX moves by 6 and one in AH. */
function adjustAscii(sign: number): Exec {
  return (m) => {
    m.getReg(RAX, 2);
    const adjust = (m.fa & AF) !== 0 || (m.lo & 15) > 9;
    m.fa = adjust ? AF : 0;
    m.cf = adjust ? 1 : 0;
    m.fw = 0;
    m.setReg(RAX, 2, (adjust ? m.lo + sign * 0x106 : m.lo) & 0xff0f, 0);
    return 0;
  };
}
export const aaa = adjustAscii(1);
export const aas = adjustAscii(-1);

/** AAM: a base of 0 is #DE. */
export function aam(m: Processor, i: Insn): number {
  const base = i.imm & 0xff;
  if (base === 0) return m.raise(VECTOR_DE, -1);
  m.getReg(RAX, 1);
  const al = m.lo;
  m.setReg(16, 1, Math.floor(al / base), 0);
  m.cf = 0;
  m.of = 0;
  setAl(m, al % base);
  return 0;
}

export function aad(m: Processor, i: Insn): number {
  m.getReg(RAX, 2);
  const al = ((m.lo & 0xff) + (m.lo >>> 8) * (i.imm & 0xff)) & 0xff;
  m.setReg(RAX, 2, al, 0);
  m.cf = 0;
  m.of = 0;
  setAl(m, al);
  return 0;
}

/** SALC: AL becomes CF, eight times. */
export function salc(m: Processor): number {
  m.setReg(RAX, 1, -m.cf, 0);
  return 0;
}

/** LES, LDS, LSS, LFS, LGS: offset into the register, selector into `seg`. */
function farPointer(seg: number): Exec {
  return (m, i) => {
    if (i.k1 !== K_MEM) return m.raise(VECTOR_UD, -1);
    const off = m.ea(i);
    let stop = m.port.load(i.seg, off, i.size);
    if (stop !== 0) return stop;
    const lo = m.lo;
    const hi = m.hi;
    stop = m.port.load(i.seg, off + i.size, 2);
    if (stop !== 0) return stop;
    stop = loadSegment(m, seg, m.lo);
    if (stop === 0) m.setReg(i.r0, i.size, lo, hi);
    return stop;
  };
}
export const les = farPointer(0);
export const lss = farPointer(2);
export const lds = farPointer(3);
export const lfs = farPointer(4);
export const lgs = farPointer(5);
