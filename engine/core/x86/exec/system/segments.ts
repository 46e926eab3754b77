/**
 * Segments: descriptors read from the tables, checked and loaded, as QEMU's processor does it (`helper_load_seg()`) and
 * as KVM's emulator does (`__load_segment_descriptor()`, Linux 6.1). Both mark the descriptor as accessed in memory:
 * a store, which a table in a read-only slot does not take.
 */
import type { Processor } from '../../processor.ts';
import { VECTOR_GP, VECTOR_NP, VECTOR_SS } from '../../processor-port.ts';
import {
  CS,
  EFER_LMA,
  isCanonical,
  LDTR,
  MODE_LONG64,
  MODE_REAL16,
  SEG_ACCESSED,
  SEG_BIG,
  SEG_CODE,
  SEG_DOWN,
  SEG_DPL_SHIFT,
  SEG_GRANULAR,
  SEG_LONG,
  SEG_PRESENT,
  SEG_RW,
  SEG_S,
  SS,
} from '../../regs.ts';

/** The accessed bit in a descriptor's second word. */
const WORD_ACCESSED = SEG_ACCESSED << 8;

/** Attributes (SEG_*) in a descriptor's second word. */
export const attributesOf = (hi: number): number => ((hi >>> 8) & 0xff) | ((hi >>> 12) & 0xf00);

/** Privilege level in attributes. */
export const dplOf = (attr: number): number => (attr >> SEG_DPL_SHIFT) & 3;

/** Base of a descriptor's two words, 32 bits. */
export const baseOf = (lo: number, hi: number): number =>
  ((lo >>> 16) | ((hi & 0xff) << 16) | (hi & 0xff000000)) >>> 0;

/** The last byte of a descriptor's segment. */
export function limitOf(lo: number, hi: number): number {
  const limit = (lo & 0xffff) | (hi & 0xf0000);
  return attributesOf(hi) & SEG_GRANULAR ? limit * 4096 + 4095 : limit;
}

/** Is this the null selector? */
export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

/**
 * Reads the `n` bytes (8, or 16 for system segments of long mode) of a selector's descriptor: its first two words into
 * `descLo` and `descHi`, its address into `descAt`. #GP with the selector beyond the table.
 */
export function readDescriptor(m: Processor, selector: number, n = 8): number {
  const { regs } = m;
  const local = (selector & 4) !== 0;
  const base = local ? regs.segBase[LDTR]! : regs.gdtBase;
  const limit = local ? (regs.segAttr[LDTR] === 0 ? -1 : regs.segLimit[LDTR]!) : regs.gdtLimit;
  const index = selector & 0xfff8;
  if (index + n - 1 > limit) return m.raise(VECTOR_GP, selector & 0xfffc);
  m.descAt = base + index;
  const stop = m.port.loadLinear(m.descAt, 8);
  m.descLo = m.lo;
  m.descHi = m.hi;
  return stop;
}

/** Sets the accessed bit of the descriptor read last, where it is not set: 0, or why the store was refused. */
export function markAccessed(m: Processor): number {
  if (m.descHi & WORD_ACCESSED) return 0;
  m.descHi |= WORD_ACCESSED;
  // write_segment_descriptor() writes all of it, a processor the word with the bit.
  if (m.port.emulator) return m.port.storeLinear(m.descAt, 8, m.descLo, m.descHi);
  return m.port.storeLinear(m.descAt + 4, 4, m.descHi, 0);
}

/** The descriptor read last becomes the segment's. */
export function setSegment(m: Processor, seg: number, selector: number): void {
  const { regs } = m;
  regs.segSel[seg] = selector;
  regs.segBase[seg] = baseOf(m.descLo, m.descHi);
  regs.segLimit[seg] = limitOf(m.descLo, m.descHi);
  regs.segAttr[seg] = attributesOf(m.descHi);
  changed(m, seg);
}

/** An unusable segment, or for SS in long mode one that has no descriptor. */
export function setNull(m: Processor, seg: number, selector: number): void {
  const { regs } = m;
  regs.segSel[seg] = selector;
  regs.segBase[seg] = 0;
  regs.segLimit[seg] = seg === SS ? 0xffffffff : 0;
  const flat = SEG_PRESENT | SEG_S | SEG_RW | SEG_ACCESSED | SEG_BIG | SEG_GRANULAR;
  regs.segAttr[seg] = seg === SS ? flat | ((selector & 3) << SEG_DPL_SHIFT) : 0;
  changed(m, seg);
}

/** Real mode: the base is the selector's, limit and attributes stay. */
export function setReal(m: Processor, seg: number, selector: number): void {
  m.regs.segSel[seg] = selector;
  m.regs.segBase[seg] = selector * 16;
  changed(m, seg);
}

function changed(m: Processor, seg: number): void {
  if (seg === CS || seg === SS) m.regs.update();
  else m.regs.updateFlat();
}

/** MOV, POP, LDS and friends: a selector into ES, SS, DS, FS or GS. 0, or why not; then nothing has changed. */
export function loadSegment(m: Processor, seg: number, selector: number): number {
  const { regs } = m;
  if (regs.mode === MODE_REAL16) {
    setReal(m, seg, selector);
    return 0;
  }
  if (isNull(selector)) {
    if (seg === SS && !mayBeNullStack(m, selector)) return m.raise(VECTOR_GP, 0);
    setNull(m, seg, selector);
    return 0;
  }
  let stop = readDescriptor(m, selector);
  if (stop !== 0) return stop;
  const code = selector & 0xfffc;
  const attr = attributesOf(m.descHi);
  const allowed = seg === SS ? isStack(attr, selector & 3, regs.cpl) : isData(m, attr, selector & 3);
  if (!allowed) return m.raise(VECTOR_GP, code);
  if ((attr & SEG_PRESENT) === 0) return m.raise(seg === SS ? VECTOR_SS : VECTOR_NP, code);
  stop = markAccessed(m);
  if (stop === 0) setSegment(m, seg, selector);
  return stop;
}

/** A null SS is for 64-bit code, and not for users. */
function mayBeNullStack(m: Processor, selector: number): boolean {
  if (m.regs.mode !== MODE_LONG64) return false;
  return m.port.emulator ? (selector & 3) === m.regs.cpl : m.regs.cpl !== 3;
}

/** Writable data of exactly the level that is to use it as a stack. */
export function isStack(attr: number, rpl: number, cpl: number): boolean {
  const wanted = SEG_S | SEG_RW;
  if ((attr & (SEG_S | SEG_CODE | SEG_RW)) !== wanted) return false;
  return rpl === cpl && dplOf(attr) === cpl;
}

/** Readable, and not of a more privileged level unless it is conforming code. */
function isData(m: Processor, attr: number, rpl: number): boolean {
  if ((attr & SEG_S) === 0 || (attr & (SEG_CODE | SEG_RW)) === SEG_CODE) return false;
  if ((attr & (SEG_CODE | SEG_DOWN)) === (SEG_CODE | SEG_DOWN)) return true;
  const dpl = dplOf(attr);
  const { cpl } = m.regs;
  // The kernel refuses only when both levels are too high.
  return m.port.emulator ? !(rpl > dpl && cpl > dpl) : dpl >= cpl && dpl >= rpl;
}

/** May code of the descriptor read last go on at `offset`? #GP(0) if that is no address. */
export function checkOffset(m: Processor, offset: number): number {
  const long = (m.regs.efer & EFER_LMA) !== 0 && (attributesOf(m.descHi) & SEG_LONG) !== 0;
  return long && !isCanonical(offset) ? m.raise(VECTOR_GP, 0) : 0;
}
