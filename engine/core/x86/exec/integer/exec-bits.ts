/** Bit tests and scans, byte order, conditional moves, and the wide compare-and-exchange. */

import { type Insn, K_IMM, K_MEM } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNHANDLEABLE, VECTOR_GP } from '../../processor-port.ts';
import { RAX, RBX, RCX, RDX } from '../../regs.ts';
import { setResultSized } from './alu.ts';

const BT = 0;
const BTS = 1;
const BTR = 2;
const BTC = 3;

/** Leaves the offset of the operand in `off`: with a register bit number, memory is reached beyond it. */
function bitOperand(m: Processor, i: Insn, lo: number, hi: number): void {
  const off = m.ea(i);
  if (i.k1 === K_IMM) return;
  // The bit number is signed; it counts operands, then bits.
  const shiftToBytes = i.size === 8 ? 6 : i.size === 4 ? 5 : 4;
  const v = i.size === 2 ? (lo << 16) >> 16 : lo;
  const delta =
    i.size === 8 ? Math.floor((hi * 4294967296 + (lo >>> 0)) / 64) * 8 : (v >> shiftToBytes) * i.size;
  const at = off + delta;
  m.off = i.addrSize === 8 ? at : i.addrSize === 4 ? at >>> 0 : at & 0xffff;
}

/**
 * A bit test after an operation whose flags QEMU has not assembled yet: it turns them into those of a shift by the
 * bit number, which has the same ZF, SF and PF and the right CF, but an OF of its own: the sign (at the earlier
 * operation's width) of the shifted operand against that of the earlier result.
 */
function bitTestOverflow(m: Processor, n: number): void {
  const at = n + m.fw - 1;
  const sign = at < 32 ? (m.dLo >>> at) & 1 : at < 64 ? (m.dHi >>> (at - 32)) & 1 : 0;
  m.of = -sign ^ m.fs;
}

function bitOp(op: number): (m: Processor, i: Insn) => number {
  return (m, i) => {
    m.read(i, i.k1, i.r1, i.size);
    const n = m.lo & (8 * i.size - 1);
    if (i.k0 === K_MEM) {
      bitOperand(m, i, m.lo, m.hi);
      const stop = m.port.load(i.seg, m.off, i.size);
      if (stop !== 0) return stop;
    } else m.getReg(i.r0, i.size);
    m.dLo = m.lo;
    m.dHi = m.hi;
    const maskLo = n < 32 ? 1 << n : 0;
    const maskHi = n < 32 ? 0 : 1 << (n - 32);
    m.cf = (m.dLo & maskLo) !== 0 || (m.dHi & maskHi) !== 0 ? 1 : 0;
    if (m.fw !== 0 && !m.port.emulator) bitTestOverflow(m, n);
    if (op === BT) return 0;
    if (op === BTS) {
      m.lo = m.dLo | maskLo;
      m.hi = m.dHi | maskHi;
    } else if (op === BTR) {
      m.lo = m.dLo & ~maskLo;
      m.hi = m.dHi & ~maskHi;
    } else {
      m.lo = m.dLo ^ maskLo;
      m.hi = m.dHi ^ maskHi;
    }
    return m.writeDst(i);
  };
}
export const bt = bitOp(BT);
export const bts = bitOp(BTS);
export const btr = bitOp(BTR);
export const btc = bitOp(BTC);

/** Number of the lowest set bit of the pair. */
function lowest(lo: number, hi: number): number {
  return lo !== 0 ? 31 - Math.clz32(lo & -lo) : 63 - Math.clz32(hi & -hi);
}

/** BSF and BSR: of zero, ZF is set and the register kept. The other flags follow the source, as in QEMU. */
function scan(m: Processor, i: Insn, down: boolean): number {
  const stop = m.read(i, i.k1, i.r1, i.size);
  if (stop !== 0) return stop;
  m.cf = 0;
  m.of = 0;
  m.fa = 0;
  setResultSized(m, i.size, m.lo, m.hi);
  m.fw = 8 * i.size;
  if ((m.lo | m.hi) === 0) return 0;
  const high = m.hi !== 0 ? 63 - Math.clz32(m.hi) : 31 - Math.clz32(m.lo);
  m.setReg(i.r0, i.size, down ? high : lowest(m.lo, m.hi), 0);
  return 0;
}

export function bsf(m: Processor, i: Insn): number {
  return scan(m, i, false);
}

export function bsr(m: Processor, i: Insn): number {
  return scan(m, i, true);
}

/** TZCNT and LZCNT: a count, with CF for zero. */
function count(m: Processor, i: Insn, leading: boolean): number {
  const stop = m.read(i, i.k1, i.r1, i.size);
  if (stop !== 0) return stop;
  const bits = 8 * i.size;
  const zero = (m.lo | m.hi) === 0;
  let n = bits;
  if (!zero && leading) n = bits - 1 - (m.hi !== 0 ? 63 - Math.clz32(m.hi) : 31 - Math.clz32(m.lo));
  else if (!zero) n = lowest(m.lo, m.hi);
  m.cf = zero ? 1 : 0;
  m.fz = n;
  m.fw = 0;
  m.setReg(i.r0, i.size, n, 0);
  return 0;
}

/** TZCNT; KVM's emulator does not know the prefix and does BSF. */
export function tzcnt(m: Processor, i: Insn): number {
  return m.port.emulator ? scan(m, i, false) : count(m, i, false);
}

/** LZCNT; KVM's emulator does BSR. */
export function lzcnt(m: Processor, i: Insn): number {
  return m.port.emulator ? scan(m, i, true) : count(m, i, true);
}

/** Byte order of a 32-bit word, reversed. */
function swap32(v: number): number {
  return (v << 24) | ((v & 0xff00) << 8) | ((v >>> 8) & 0xff00) | (v >>> 24);
}

/** Reverses `lo,hi` within `size` bytes. */
function reverse(m: Processor, size: number): void {
  const lo = m.lo;
  if (size === 2) m.lo = ((lo & 0xff) << 8) | ((lo >>> 8) & 0xff);
  else if (size === 4) m.lo = swap32(lo);
  else {
    m.lo = swap32(m.hi);
    m.hi = swap32(lo);
  }
}

export function bswap(m: Processor, i: Insn): number {
  m.getReg(i.r0, i.size);
  // The 16-bit form is undefined on paper; processors clear the register.
  if (i.size === 2) m.lo = 0;
  else reverse(m, i.size);
  m.setReg(i.r0, i.size, m.lo, m.hi);
  return 0;
}

export function movbe(m: Processor, i: Insn): number {
  const stop = m.read(i, i.k1, i.r1, i.size);
  if (stop !== 0) return stop;
  reverse(m, i.size);
  if (i.k0 === K_MEM) m.ea(i);
  return m.writeDst(i);
}

/** CRC-32C over the operand, lowest byte first. */
export function crc32(m: Processor, i: Insn): number {
  const stop = m.read(i, i.k1, i.r1, i.size1);
  if (stop !== 0) return stop;
  let crc = m.gpr[2 * i.r0]!;
  for (let k = 0; k < i.size1; k++) {
    const byte = k < 4 ? (m.lo >>> (8 * k)) & 0xff : (m.hi >>> (8 * k - 32)) & 0xff;
    crc ^= byte;
    for (let b = 0; b < 8; b++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  m.setReg(i.r0, i.size, crc, 0);
  return 0;
}

export function setcc(m: Processor, i: Insn): number {
  m.lo = m.test(i.cond) ? 1 : 0;
  m.hi = 0;
  if (i.k0 === K_MEM) m.ea(i);
  return m.writeDst(i);
}

/** CMOVcc loads its source whether the condition holds or not, and a 32-bit one clears the high half. */
export function cmovcc(m: Processor, i: Insn): number {
  const stop = m.read(i, i.k1, i.r1, i.size);
  if (stop !== 0) return stop;
  if (!m.test(i.cond)) m.getReg(i.r0, i.size);
  m.setReg(i.r0, i.size, m.lo, m.hi);
  return 0;
}

/** CMPXCHG8B: EDX:EAX against eight bytes; ZF is the only flag. Both outcomes store. */
export function cmpxchg8b(m: Processor, i: Insn): number {
  const off = m.ea(i);
  const stop = m.port.load(i.seg, off, 8);
  if (stop !== 0) return stop;
  const oldLo = m.lo;
  const oldHi = m.hi;
  const gpr = m.gpr;
  const equal = oldLo === gpr[2 * RAX] && oldHi === gpr[2 * RDX];
  m.dLo = oldLo;
  m.dHi = oldHi;
  const lo = equal ? gpr[2 * RBX]! : oldLo;
  const hi = equal ? gpr[2 * RCX]! : oldHi;
  const refused = i.locked ? m.port.storeLocked(i.seg, off, 8, lo, hi) : m.port.store(i.seg, off, 8, lo, hi);
  if (refused !== 0) return refused;
  setZero(m, equal);
  if (!equal) {
    m.setReg(RAX, 4, oldLo, 0);
    m.setReg(RDX, 4, oldHi, 0);
  }
  return 0;
}

/** Changes ZF only. */
function setZero(m: Processor, zero: boolean): void {
  m.fz = zero ? 0 : 1;
  m.fw = 0;
}

/** CMPXCHG16B: aligned, and KVM's emulator cannot do it. */
export function cmpxchg16b(m: Processor, i: Insn): number {
  const off = m.ea(i);
  if (off % 16 !== 0) return m.raise(VECTOR_GP, 0);
  const stop = m.port.loadBytes(i.seg, off, 16);
  if (stop !== 0) return stop;
  // KVM gives up only when it has read its operand.
  if (m.port.emulator) return UNHANDLEABLE;
  const w = m.words;
  const gpr = m.gpr;
  const [a, b, c, d] = [w[0]!, w[1]!, w[2]!, w[3]!];
  const equal = a === gpr[0] && b === gpr[1] && c === gpr[2 * RDX] && d === gpr[2 * RDX + 1];
  if (equal) {
    w[0] = gpr[2 * RBX]!;
    w[1] = gpr[2 * RBX + 1]!;
    w[2] = gpr[2 * RCX]!;
    w[3] = gpr[2 * RCX + 1]!;
  }
  const refused = m.port.storeBytes(i.seg, off, 16);
  if (refused !== 0) return refused;
  setZero(m, equal);
  if (!equal) {
    m.setReg(RAX, 8, a, b);
    m.setReg(RDX, 8, c, d);
  }
  return 0;
}
