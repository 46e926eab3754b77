/** Descriptor tables and task register: LGDT to STR, and the questions LAR, LSL, VERR, VERW and ARPL. */
import { type Insn, K_REG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_GP, VECTOR_NP, VECTOR_UD } from '../../processor-port.ts';
import {
  EFER_LMA,
  LDTR,
  MODE_LONG64,
  MODE_REAL16,
  SEG_CODE,
  SEG_DOWN,
  SEG_PRESENT,
  SEG_RW,
  SEG_S,
  TR,
} from '../../regs.ts';
import { privileged } from './exec-registers.ts';
import { attributesOf, dplOf, isNull, limitOf, readDescriptor, setNull, setSegment } from './segments.ts';

/** Types of system descriptors. */
const TYPE_LDT = 2;
const TYPE_TSS16 = 1;
const TYPE_TSS32 = 9;
/** Bit 1 of a TSS's type: in use. */
const WORD_BUSY = 1 << 9;

function storeTable(m: Processor, i: Insn, base: number, limit: number): number {
  const size = m.regs.mode === MODE_LONG64 ? 8 : 4;
  m.view.setUint16(0, limit, true);
  m.view.setInt32(2, base | 0, true);
  m.view.setInt32(6, Math.floor(base / 4294967296), true);
  return m.port.storeStd(i.seg, m.ea(i), 2 + size);
}

export function sgdt(m: Processor, i: Insn): number {
  return storeTable(m, i, m.regs.gdtBase, m.regs.gdtLimit);
}

export function sidt(m: Processor, i: Insn): number {
  return storeTable(m, i, m.regs.idtBase, m.regs.idtLimit);
}

/** Limit into `lo` and base as the result in `descAt`; with 16-bit operands the base has 24 bits. */
function readTable(m: Processor, i: Insn): number {
  const stop = privileged(m);
  if (stop !== 0) return stop;
  const long = m.regs.mode === MODE_LONG64;
  const refused = m.port.loadStd(i.seg, m.ea(i), long ? 10 : 6);
  if (refused !== 0) return refused;
  const low = m.view.getUint32(2, true);
  m.descAt = long ? m.view.getInt32(6, true) * 4294967296 + low : i.opSize === 2 ? low & 0xffffff : low;
  m.lo = m.view.getUint16(0, true);
  return 0;
}

export function lgdt(m: Processor, i: Insn): number {
  const stop = readTable(m, i);
  if (stop !== 0) return stop;
  m.regs.gdtBase = m.descAt;
  m.regs.gdtLimit = m.lo;
  return 0;
}

export function lidt(m: Processor, i: Insn): number {
  const stop = readTable(m, i);
  if (stop !== 0) return stop;
  m.regs.idtBase = m.descAt;
  m.regs.idtLimit = m.lo;
  return 0;
}

/** SLDT and STR: a selector; a register gets its whole operand, memory two bytes. */
function storeSelector(m: Processor, i: Insn, seg: number): number {
  if (m.regs.mode === MODE_REAL16) return m.raise(VECTOR_UD, -1);
  const selector = m.regs.segSel[seg]! & 0xffff;
  if (i.k0 !== K_REG) return m.port.store(i.seg, m.ea(i), 2, selector, 0);
  m.setReg(i.r0, i.size, selector, 0);
  return 0;
}

export function sldt(m: Processor, i: Insn): number {
  return storeSelector(m, i, LDTR);
}

export function str(m: Processor, i: Insn): number {
  return storeSelector(m, i, TR);
}

/** Checks before LLDT and LTR, and the selector into `lo`. */
function systemSelector(m: Processor, i: Insn): number {
  if (m.regs.mode === MODE_REAL16) return m.raise(VECTOR_UD, -1);
  return privileged(m) || m.read(i, i.k0, i.r0, 2);
}

/** Reads a system descriptor; in long mode it has 16 bytes, and `hi` is the upper half of its base. */
function readSystem(m: Processor, selector: number): number {
  if (selector & 4) return m.raise(VECTOR_GP, selector & 0xfffc);
  const long = (m.regs.efer & EFER_LMA) !== 0;
  let stop = readDescriptor(m, selector, long ? 16 : 8);
  m.hi = 0;
  if (stop === 0 && long) {
    stop = m.port.loadLinear(m.descAt + 8, 4);
    m.hi = m.lo;
  }
  return stop;
}

export function lldt(m: Processor, i: Insn): number {
  const stop = systemSelector(m, i);
  if (stop !== 0) return stop;
  const selector = m.lo & 0xffff;
  if (isNull(selector)) {
    setNull(m, LDTR, selector);
    return 0;
  }
  const refused = readSystem(m, selector);
  if (refused !== 0) return refused;
  const attr = attributesOf(m.descHi);
  if ((attr & (SEG_S | 15)) !== TYPE_LDT) return m.raise(VECTOR_GP, selector & 0xfffc);
  if ((attr & SEG_PRESENT) === 0) return m.raise(VECTOR_NP, selector & 0xfffc);
  const upper = m.hi;
  setSegment(m, LDTR, selector);
  m.regs.segBase[LDTR]! += upper * 4294967296;
  return 0;
}

/** LTR marks the task-state segment as busy: a store to the table. */
export function ltr(m: Processor, i: Insn): number {
  const stop = systemSelector(m, i);
  if (stop !== 0) return stop;
  const selector = m.lo & 0xffff;
  const code = selector & 0xfffc;
  if (isNull(selector)) return m.raise(VECTOR_GP, 0);
  let refused = readSystem(m, selector);
  if (refused !== 0) return refused;
  const attr = attributesOf(m.descHi);
  const type = attr & (SEG_S | 15);
  if (type !== TYPE_TSS16 && type !== TYPE_TSS32) return m.raise(VECTOR_GP, code);
  if ((attr & SEG_PRESENT) === 0) return m.raise(VECTOR_NP, code);
  const upper = m.hi;
  m.descHi |= WORD_BUSY;
  if (m.port.emulator) refused = m.port.storeLinear(m.descAt, 8, m.descLo, m.descHi);
  else refused = m.port.storeLinear(m.descAt + 4, 4, m.descHi, 0);
  if (refused !== 0) return refused;
  setSegment(m, TR, selector);
  m.regs.segBase[TR]! += upper * 4294967296;
  return 0;
}

/** A selector's descriptor for those who only ask: attributes into `lo`, or -1 where ZF has to be cleared. */
function look(m: Processor, i: Insn, kind: number, register: number): number {
  const stop = m.read(i, kind, register, 2);
  if (stop !== 0) return stop;
  const selector = m.lo & 0xffff;
  m.lo = -1;
  if (isNull(selector)) return 0;
  const refused = readDescriptor(m, selector);
  m.lo = -1;
  if (refused !== 0) return m.vector === VECTOR_GP ? 0 : refused;
  const attr = attributesOf(m.descHi);
  const conforming = (attr & (SEG_S | SEG_CODE | SEG_DOWN)) === (SEG_S | SEG_CODE | SEG_DOWN);
  if (!conforming && (dplOf(attr) < m.regs.cpl || dplOf(attr) < (selector & 3))) return 0;
  m.lo = attr;
  return 0;
}

function answer(m: Processor, yes: boolean): void {
  m.fz = yes ? 0 : 1;
  m.fw = 0;
}

/** System descriptors that have a limit, and access rights: by type. */
const HAS_LIMIT: readonly number[] = [1, 2, 3, 9, 11];
const HAS_RIGHTS: readonly number[] = [...HAS_LIMIT, 4, 5, 12];

function ask(m: Processor, i: Insn, types: readonly number[], value: () => number): number {
  if (m.regs.mode === MODE_REAL16) return m.raise(VECTOR_UD, -1);
  const stop = look(m, i, i.k1, i.r1);
  if (stop !== 0) return stop;
  const attr = m.lo;
  const known = attr >= 0 && ((attr & SEG_S) !== 0 || types.includes(attr & 15));
  if (known) m.setReg(i.r0, i.size, value() | 0, 0);
  answer(m, known);
  return 0;
}

export function lar(m: Processor, i: Insn): number {
  return ask(m, i, HAS_RIGHTS, () => m.descHi & 0xf0ff00);
}

export function lsl(m: Processor, i: Insn): number {
  return ask(m, i, HAS_LIMIT, () => limitOf(m.descLo, m.descHi));
}

function verify(m: Processor, i: Insn, may: (attr: number) => boolean): number {
  if (m.regs.mode === MODE_REAL16) return m.raise(VECTOR_UD, -1);
  const stop = look(m, i, i.k0, i.r0);
  if (stop !== 0) return stop;
  answer(m, m.lo >= 0 && (m.lo & SEG_S) !== 0 && may(m.lo));
  return 0;
}

export function verr(m: Processor, i: Insn): number {
  return verify(m, i, (attr) => (attr & SEG_CODE) === 0 || (attr & SEG_RW) !== 0);
}

export function verw(m: Processor, i: Insn): number {
  return verify(m, i, (attr) => (attr & (SEG_CODE | SEG_RW)) === SEG_RW);
}

/** ARPL: the destination's requested level becomes at least the source's. */
export function arpl(m: Processor, i: Insn): number {
  if (m.regs.mode === MODE_REAL16) return m.raise(VECTOR_UD, -1);
  const stop = m.readBoth(i);
  if (stop !== 0) return stop;
  const raise = (m.dLo & 3) < (m.sLo & 3);
  m.lo = raise ? (m.dLo & ~3) | (m.sLo & 3) : m.dLo;
  m.hi = 0;
  const refused = m.writeDst(i);
  if (refused === 0) answer(m, raise);
  return refused;
}
