/** Branches, the stack and calls. Pushes store first and move RSP after. */

import { type Insn, K_IMM, K_MEM, K_REG, K_SEG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNHANDLEABLE } from '../../processor-port.ts';
import { IF, IOPL_SHIFT, MODE_LONG64, MODE_REAL16, RBP, RCX, RSP, SS } from '../../regs.ts';
import { farCall, farJump } from './exec-far.ts';
import { ioLevel } from './exec-interrupt.ts';
import { farReturn } from './far-return.ts';
import { loadSegment } from './segments.ts';

/** Flags that POPF of each size may change; IOPL at level 0 only, IF as IOPL allows. */
const POPF_MASK = 0x244fd5 & ~IF;

/** Size of a push or pop: 64 bits is the default in long mode, and 32 do not exist there. */
function pushSize(m: Processor, i: Insn): number {
  return m.regs.mode === MODE_LONG64 && !i.opsize ? 8 : i.opSize;
}

/** Stores `lo,hi` below the stack pointer; `depth` bytes are already there. RSP is not moved. */
function pushAt(m: Processor, size: number, depth: number, lo: number, hi: number): number {
  return m.port.store(SS, m.stackAt(-depth - size), size, lo, hi);
}

function moveStack(m: Processor, delta: number): void {
  m.setAddress(RSP, m.stackSize(), m.stackAt(delta));
}

function pushValue(m: Processor, size: number, lo: number, hi: number): number {
  const stop = pushAt(m, size, 0, lo, hi);
  if (stop === 0) moveStack(m, -size);
  return stop;
}

export function push(m: Processor, i: Insn): number {
  const size = pushSize(m, i);
  if (i.k0 === K_SEG) return pushValue(m, size, m.regs.segSel[i.r0]! & 0xffff, 0);
  const stop = m.read(i, i.k0, i.r0, size);
  return stop !== 0 ? stop : pushValue(m, size, m.lo, m.hi);
}

export function pop(m: Processor, i: Insn): number {
  const size = pushSize(m, i);
  const stop = m.port.load(SS, m.stackAt(0), size);
  if (stop !== 0) return stop;
  const lo = m.lo;
  const hi = m.hi;
  if (i.k0 === K_SEG) {
    const refused = loadSegment(m, i.r0, lo & 0xffff);
    if (refused === 0) moveStack(m, size);
    return refused;
  }
  if (i.k0 === K_REG) {
    moveStack(m, size);
    m.setReg(i.r0, size, lo, hi);
    return 0;
  }
  // The address is computed with RSP already moved; if the store is refused it moves back.
  moveStack(m, size);
  const refused = m.port.store(i.seg, m.ea(i), size, lo, hi);
  if (refused !== 0) moveStack(m, -size);
  return refused;
}

export function pusha(m: Processor, i: Insn): number {
  const size = i.opSize;
  for (let n = 0; n < 8; n++) {
    // KVM pushes one register after the other; QEMU's processor fills the frame from its lowest address up.
    const r = m.port.emulator ? n : 7 - n;
    m.getReg(r, size);
    const stop = pushAt(m, size, r * size, m.lo, 0);
    if (stop !== 0) return stop;
  }
  moveStack(m, -8 * size);
  return 0;
}

export function popa(m: Processor, i: Insn): number {
  const size = i.opSize;
  const values = m.words;
  for (let r = 7; r >= 0; r--) {
    const stop = m.port.load(SS, m.stackAt((7 - r) * size), size);
    if (stop !== 0) return stop;
    values[r] = m.lo;
  }
  for (let r = 0; r < 8; r++) if (r !== RSP) m.setReg(r, size, values[r]!, 0);
  moveStack(m, 8 * size);
  return 0;
}

export function pushf(m: Processor, i: Insn): number {
  // RF and VM are pushed as zero.
  return pushValue(m, pushSize(m, i), m.getFlags() & 0xfcffff, 0);
}

export function popf(m: Processor, i: Insn): number {
  const size = pushSize(m, i);
  const stop = m.port.load(SS, m.stackAt(0), size);
  if (stop !== 0) return stop;
  const { cpl } = m.regs;
  let mask = size === 2 ? POPF_MASK & 0xffff : POPF_MASK;
  if (cpl === 0) mask |= 3 << IOPL_SHIFT;
  if (cpl <= ioLevel(m)) mask |= IF;
  m.setFlags((m.getFlags() & ~mask) | (m.lo & mask));
  moveStack(m, size);
  return 0;
}

/** ENTER: nesting levels above 0 are done by the processor and not by KVM's emulator. */
export function enter(m: Processor, i: Insn): number {
  const level = i.imm2 & 31;
  if (level !== 0 && m.port.emulator) return UNHANDLEABLE;
  const size = pushSize(m, i);
  m.getReg(RBP, size);
  let stop = pushAt(m, size, 0, m.lo, m.hi);
  if (stop !== 0) return stop;
  const frame = m.stackAt(-size);
  let depth = size;
  for (let k = 1; k <= level; k++) {
    if (k < level) {
      const bp = m.regAddress(RBP, m.stackSize()) - k * size;
      stop = m.port.load(SS, m.stackSize() === 2 ? bp & 0xffff : bp, size);
      if (stop !== 0) return stop;
    } else {
      m.lo = frame | 0;
      m.hi = Math.floor(frame / 4294967296) | 0;
    }
    stop = pushAt(m, size, depth, m.lo, m.hi);
    if (stop !== 0) return stop;
    depth += size;
  }
  m.setAddress(RBP, m.stackSize() === 8 ? 8 : size, frame);
  moveStack(m, -depth - (i.imm & 0xffff));
  return 0;
}

export function leave(m: Processor, i: Insn): number {
  const size = pushSize(m, i);
  const frame = m.regAddress(RBP, m.stackSize());
  const stop = m.port.load(SS, frame, size);
  if (stop !== 0) return stop;
  const lo = m.lo;
  const hi = m.hi;
  m.setAddress(RSP, m.stackSize(), frame);
  moveStack(m, size);
  m.setReg(RBP, size, lo, hi);
  return 0;
}

/** Operand size of near branches: always 64 bits in long mode. */
function branchSize(m: Processor, i: Insn): number {
  return m.regs.mode === MODE_LONG64 ? 8 : i.opSize;
}

function jumpBy(m: Processor, i: Insn): void {
  m.nextRip = m.maskRip(m.nextRip + i.imm, branchSize(m, i));
}

/** The branch target in `lo,hi`, as an offset. */
function target(m: Processor, size: number): number {
  return size === 8 ? m.hi * 4294967296 + (m.lo >>> 0) : m.maskRip(m.lo, size);
}

export function jcc(m: Processor, i: Insn): number {
  if (m.test(i.cond)) jumpBy(m, i);
  return 0;
}

export function jmp(m: Processor, i: Insn): number {
  if (i.k0 === K_IMM) {
    if (i.imm2 >= 0) return farJump(m, i, i.imm >>> 0, i.imm2);
    jumpBy(m, i);
    return 0;
  }
  if (i.k0 === K_MEM && i.imm2 >= 0) return farFromMemory(m, i, false);
  const size = branchSize(m, i);
  const stop = m.read(i, i.k0, i.r0, size);
  if (stop === 0) m.nextRip = target(m, size);
  return stop;
}

export function call(m: Processor, i: Insn): number {
  if (i.imm2 >= 0) return i.k0 === K_MEM ? farFromMemory(m, i, true) : farCall(m, i, i.imm >>> 0, i.imm2);
  const size = branchSize(m, i);
  const back = m.nextRip;
  let to = m.maskRip(back + i.imm, size);
  if (i.k0 !== K_IMM) {
    const stop = m.read(i, i.k0, i.r0, size);
    if (stop !== 0) return stop;
    to = target(m, size);
  }
  const stop = pushValue(m, size, back | 0, Math.floor(back / 4294967296));
  if (stop === 0) m.nextRip = to;
  return stop;
}

export function ret(m: Processor, i: Insn): number {
  const size = branchSize(m, i);
  const stop = m.port.load(SS, m.stackAt(0), size);
  if (stop !== 0) return stop;
  m.nextRip = target(m, size);
  moveStack(m, size + (i.k0 === K_IMM ? i.imm & 0xffff : 0));
  return 0;
}

/** A far pointer in memory: offset, then selector. */
function farFromMemory(m: Processor, i: Insn, isCall: boolean): number {
  const off = m.ea(i);
  let stop = m.port.load(i.seg, off, i.opSize);
  if (stop !== 0) return stop;
  const offset = i.opSize === 8 ? target(m, 8) : m.lo >>> 0;
  stop = m.port.load(i.seg, off + i.opSize, 2);
  if (stop !== 0) return stop;
  return isCall ? farCall(m, i, offset, m.lo) : farJump(m, i, offset, m.lo);
}

export function retf(m: Processor, i: Insn): number {
  const size = i.opSize;
  const release = i.k0 === K_IMM ? i.imm & 0xffff : 0;
  if (m.regs.mode !== MODE_REAL16) return farReturn(m, size, release, false);
  let stop = m.port.load(SS, m.stackAt(0), size);
  if (stop !== 0) return stop;
  const offset = m.lo;
  stop = m.port.load(SS, m.stackAt(size), size);
  if (stop !== 0) return stop;
  moveStack(m, 2 * size + release);
  return farJump(m, i, offset, m.lo & 0xffff);
}

/** LOOPcc by `cond`: 0 LOOPNE, 1 LOOPE, 2 LOOP. */
export function loop(m: Processor, i: Insn): number {
  const size = i.addrSize;
  const count = m.regAddress(RCX, size) - 1;
  m.setAddress(RCX, size, count);
  const left = m.regAddress(RCX, size) !== 0;
  const zero = m.fz === 0;
  if (left && (i.cond === 2 || zero === (i.cond === 1))) jumpBy(m, i);
  return 0;
}

export function jcxz(m: Processor, i: Insn): number {
  if (m.regAddress(RCX, i.addrSize) === 0) jumpBy(m, i);
  return 0;
}
