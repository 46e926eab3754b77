/**
 * RETF and IRET outside real mode, as QEMU's processor does them (`helper_ret_protected()`). KVM's emulator does RETF
 * within a level only.
 */
import type { Processor } from '../../processor.ts';
import { UNHANDLEABLE, UNSUPPORTED, VECTOR_GP, VECTOR_NP } from '../../processor-port.ts';
import {
  AC,
  CS,
  DF,
  DS,
  EFER_LMA,
  ES,
  FS,
  GS,
  ID,
  IF,
  IOPL_SHIFT,
  MODE_LONG64,
  NT,
  RF,
  RSP,
  SEG_CODE,
  SEG_DOWN,
  SEG_LONG,
  SEG_PRESENT,
  SEG_S,
  SS,
  STATUS_FLAGS,
  TF,
  VM,
} from '../../regs.ts';
import { number64 } from './inner-stack.ts';
import {
  attributesOf,
  checkOffset,
  dplOf,
  isNull,
  isStack,
  markAccessed,
  readDescriptor,
  setNull,
  setSegment,
} from './segments.ts';

/** RETF and IRET outside real mode: pops `size`-byte values, and SS:RSP too when the level changes. */
export function farReturn(m: Processor, size: number, release: number, isIret: boolean): number {
  const { regs } = m;
  const values = [0, 0, 0, 0, 0];
  const pop = (k: number): number => {
    const stop = m.port.load(SS, m.stackAt(k * size), size);
    values[k] = size === 8 ? number64(m.lo, m.hi) : m.lo >>> 0;
    return stop;
  };
  const count = isIret ? 3 : 2;
  for (let k = 0; k < count; k++) {
    const stop = pop(k);
    if (stop !== 0) return stop;
  }
  const selector = values[1]! & 0xffff;
  const flags = values[2]!;
  if (isIret && flags & VM && size === 4 && regs.cpl === 0 && (regs.efer & EFER_LMA) === 0)
    return UNSUPPORTED;
  const rpl = selector & 3;
  if (isNull(selector)) return m.raise(VECTOR_GP, 0);
  let stop = readDescriptor(m, selector);
  if (stop !== 0) return stop;
  stop = checkReturn(m, selector, rpl) || checkOffset(m, values[0]!);
  if (stop !== 0) return stop;
  const outer = rpl !== regs.cpl || (regs.mode === MODE_LONG64 && isIret);
  if (outer && m.port.emulator) return UNHANDLEABLE;
  if (outer) {
    stop = pop(count + release / size) || pop2(m, values, count + release / size + 1, size);
    if (stop !== 0) return stop;
  }
  stop = markAccessed(m);
  if (stop !== 0) return stop;
  const cpl = regs.cpl;
  if (outer) {
    const at = count + release / size;
    stop = returnOuter(m, selector, rpl, values[at]!, values[at + 1]! & 0xffff);
    if (stop !== 0) return stop;
  } else m.setAddress(RSP, regs.stackSize, m.stackAt(count * size + release));
  if (!outer) setSegment(m, CS, selector);
  m.nextRip = m.maskRip(values[0]!, size);
  if (isIret) restoreFlags(m, flags, size, cpl);
  return 0;
}

function pop2(m: Processor, values: number[], k: number, size: number): number {
  const stop = m.port.load(SS, m.stackAt(k * size), size);
  values[k] = m.lo & 0xffff;
  return stop;
}

function checkReturn(m: Processor, selector: number, rpl: number): number {
  const code = selector & 0xfffc;
  const attr = attributesOf(m.descHi);
  if ((attr & (SEG_S | SEG_CODE)) !== (SEG_S | SEG_CODE) || rpl < m.regs.cpl) return m.raise(VECTOR_GP, code);
  const dpl = dplOf(attr);
  if (attr & SEG_DOWN ? dpl > rpl : dpl !== rpl) return m.raise(VECTOR_GP, code);
  return attr & SEG_PRESENT ? 0 : m.raise(VECTOR_NP, code);
}

/** To an outer level (or, with IRET in 64-bit code, to any): SS:RSP come along; CS is in the descriptor read last. */
function returnOuter(m: Processor, selector: number, rpl: number, sp: number, ss: number): number {
  const { regs } = m;
  const [lo, hi] = [m.descLo, m.descHi];
  const toLong = (regs.efer & EFER_LMA) !== 0 && (attributesOf(hi) & SEG_LONG) !== 0;
  if (isNull(ss)) {
    if (!toLong || rpl === 3) return m.raise(VECTOR_GP, 0);
  } else {
    const stop = readDescriptor(m, ss);
    if (stop !== 0) return stop;
    const attr = attributesOf(m.descHi);
    if (!isStack(attr, ss & 3, rpl)) return m.raise(VECTOR_GP, ss & 0xfffc);
    if ((attr & SEG_PRESENT) === 0) return m.raise(VECTOR_NP, ss & 0xfffc);
    const refused = markAccessed(m);
    if (refused !== 0) return refused;
  }
  const [ssLo, ssHi] = [m.descLo, m.descHi];
  [m.descLo, m.descHi] = [lo, hi];
  setSegment(m, CS, selector);
  regs.setCpl(rpl);
  if (isNull(ss)) setNull(m, SS, ss);
  else {
    [m.descLo, m.descHi] = [ssLo, ssHi];
    setSegment(m, SS, ss);
  }
  m.setAddress(RSP, regs.stackSize, sp);
  for (const seg of [ES, DS, FS, GS]) hideFromOuter(m, seg);
  return 0;
}

/** A data segment that the outer level may not use becomes null. */
function hideFromOuter(m: Processor, seg: number): void {
  const attr = m.regs.segAttr[seg]!;
  if ((attr & (SEG_CODE | SEG_DOWN)) === (SEG_CODE | SEG_DOWN)) return;
  if (dplOf(attr) < m.regs.cpl && (seg < FS || (m.regs.segSel[seg]! & 0xfffc) !== 0)) setNull(m, seg, 0);
}

/** IRET's flags, by the level it came from. */
function restoreFlags(m: Processor, flags: number, size: number, cpl: number): void {
  let mask = STATUS_FLAGS | DF | TF | NT;
  if (size > 2) mask |= AC | ID | RF;
  const iopl = (m.otherFlags >> IOPL_SHIFT) & 3;
  if (cpl === 0) mask |= 3 << IOPL_SHIFT;
  if (cpl <= iopl) mask |= IF;
  m.setFlags((m.getFlags() & ~mask) | (flags & mask));
}
