/**
 * String instructions, one element each; the driver repeats. RSI and RDI move only when the element is done.
 */

import type { Insn } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { DF, ES, RAX, RCX, RDI, RDX, RSI } from '../../regs.ts';
import { mayUsePort } from '../system/exec-system.ts';
import { subBorrow } from './alu.ts';

/** Moves RSI or RDI by one element (or `n`) in the direction of DF. */
export function advance(m: Processor, i: Insn, r: number, n: number): void {
  const size = i.addrSize;
  const delta = m.otherFlags & DF ? -n * i.opSize : n * i.opSize;
  const at = m.regAddress(r, size) + delta;
  m.setAddress(r, size, at);
}

/** The repeat count: RCX cut to the address size. */
export function repeatCount(m: Processor, i: Insn): number {
  return m.regAddress(RCX, i.addrSize);
}

export function setRepeatCount(m: Processor, i: Insn, count: number): void {
  m.setAddress(RCX, i.addrSize, count);
}

/** After an element of CMPS or SCAS: does ZF end the repetition? */
export function comparisonEnds(m: Processor, i: Insn): boolean {
  return i.compares && (m.fz === 0) !== (i.rep === 1);
}

export function movs(m: Processor, i: Insn): number {
  let stop = m.port.load(i.seg, m.regAddress(RSI, i.addrSize), i.opSize);
  if (stop !== 0) return stop;
  stop = m.port.store(ES, m.regAddress(RDI, i.addrSize), i.opSize, m.lo, m.hi);
  if (stop !== 0) return stop;
  advance(m, i, RSI, 1);
  advance(m, i, RDI, 1);
  return 0;
}

export function stos(m: Processor, i: Insn): number {
  m.getReg(RAX, i.opSize);
  const stop = m.port.store(ES, m.regAddress(RDI, i.addrSize), i.opSize, m.lo, m.hi);
  if (stop === 0) advance(m, i, RDI, 1);
  return stop;
}

export function lods(m: Processor, i: Insn): number {
  const stop = m.port.load(i.seg, m.regAddress(RSI, i.addrSize), i.opSize);
  if (stop !== 0) return stop;
  m.setReg(RAX, i.opSize, m.lo, m.hi);
  advance(m, i, RSI, 1);
  return 0;
}

export function scas(m: Processor, i: Insn): number {
  const stop = m.port.load(ES, m.regAddress(RDI, i.addrSize), i.opSize);
  if (stop !== 0) return stop;
  m.sLo = m.lo;
  m.sHi = m.hi;
  m.getReg(RAX, i.opSize);
  m.dLo = m.lo;
  m.dHi = m.hi;
  subBorrow(m, i.opSize, 0);
  advance(m, i, RDI, 1);
  return 0;
}

export function cmps(m: Processor, i: Insn): number {
  let stop = m.port.load(i.seg, m.regAddress(RSI, i.addrSize), i.opSize);
  if (stop !== 0) return stop;
  m.dLo = m.lo;
  m.dHi = m.hi;
  stop = m.port.load(ES, m.regAddress(RDI, i.addrSize), i.opSize);
  if (stop !== 0) return stop;
  m.sLo = m.lo;
  m.sHi = m.hi;
  subBorrow(m, i.opSize, 0);
  advance(m, i, RSI, 1);
  advance(m, i, RDI, 1);
  return 0;
}

export function ins(m: Processor, i: Insn): number {
  const stop = mayUsePort(m, m.gpr[2 * RDX]! & 0xffff, i.opSize);
  return stop !== 0 ? stop : m.port.stringIn(i);
}

export function outs(m: Processor, i: Insn): number {
  const stop = mayUsePort(m, m.gpr[2 * RDX]! & 0xffff, i.opSize);
  return stop !== 0 ? stop : m.port.stringOut(i);
}
