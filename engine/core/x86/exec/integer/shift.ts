/**
 * Shifts and rotates of `dLo,dHi` by `count` into `lo,hi`, with flags. OF for counts above 1 is undefined on
 * paper; here it is what QEMU's processor gives: the sign of the result against the sign one step earlier.
 */

import type { Processor } from '../../processor.ts';
import { setResultSized } from './alu.ts';

/** The operations by ModRM.reg of group 2. */
export const ROL = 0;
export const ROR = 1;
export const RCL = 2;
export const RCR = 3;
export const SHL = 4;
export const SHR = 5;
export const SAR = 7;

/** Bit `n` of the pair. */
function bit(lo: number, hi: number, n: number): number {
  return n < 32 ? (lo >>> n) & 1 : (hi >>> (n - 32)) & 1;
}

function shl64(m: Processor, lo: number, hi: number, n: number): void {
  if (n === 0) {
    m.lo = lo;
    m.hi = hi;
  } else if (n < 32) {
    m.lo = lo << n;
    m.hi = (hi << n) | (lo >>> (32 - n));
  } else {
    m.lo = 0;
    m.hi = n < 64 ? lo << (n - 32) : 0;
  }
}

function shr64(m: Processor, lo: number, hi: number, n: number, fill: number): void {
  if (n === 0) {
    m.lo = lo;
    m.hi = hi;
  } else if (n < 32) {
    m.lo = (lo >>> n) | (hi << (32 - n));
    m.hi = (hi >>> n) | (fill << (32 - n));
  } else {
    m.lo = n === 32 ? hi : n < 64 ? (hi >>> (n - 32)) | (fill << (64 - n)) : fill;
    m.hi = fill;
  }
}

/** The value cut to `size` bytes, into `lo,hi`. */
function cut(m: Processor, size: number): void {
  if (size < 4) m.lo &= size === 1 ? 0xff : 0xffff;
  if (size < 8) m.hi = 0;
}

/** Group 2. A count of 0 (after masking) changes nothing, flags neither: the caller writes the value back. */
export function shift(m: Processor, op: number, size: number, rawCount: number): void {
  const count = rawCount & (size === 8 ? 63 : 31);
  m.lo = m.dLo;
  m.hi = m.dHi;
  if (count === 0) return;
  m.fw = 0;
  if (op >= SHL) linear(m, op, size, count);
  else if (op === ROL || op === ROR) rotate(m, op, size, count);
  else rotateCarry(m, op, size, count);
}

function linear(m: Processor, op: number, size: number, count: number): void {
  const top = 8 * size - 1;
  let lo = m.dLo;
  let hi = m.dHi;
  const fill = op === SAR && bit(lo, hi, top) ? -1 : 0;
  if (op === SAR && size < 8) {
    hi = fill;
    if (size < 4) lo = (lo << (32 - 8 * size)) >> (32 - 8 * size);
  }
  if (op === SHR || op === SAR) shr64(m, lo, hi, count - 1, fill);
  else shl64(m, lo, hi, count - 1);
  const earlier = bit(m.lo, m.hi, top);
  m.cf = op === SHR || op === SAR ? m.lo & 1 : earlier;
  if (op === SHR || op === SAR) shr64(m, lo, hi, count, fill);
  else shl64(m, lo, hi, count);
  cut(m, size);
  m.of = -(earlier ^ bit(m.lo, m.hi, top));
  m.fa = 0;
  setResultSized(m, size, m.lo, m.hi);
}

function rotate(m: Processor, op: number, size: number, count: number): void {
  const bits = 8 * size;
  const n = op === ROL ? count % bits : (bits - (count % bits)) % bits;
  if (n !== 0) {
    const lo = m.dLo;
    const hi = m.dHi;
    shr64(m, lo, hi, bits - n, 0);
    const rightLo = m.lo;
    const rightHi = m.hi;
    shl64(m, lo, hi, n);
    m.lo |= rightLo;
    m.hi |= rightHi;
    cut(m, size);
  }
  const top = bit(m.lo, m.hi, bits - 1);
  m.cf = op === ROL ? m.lo & 1 : top;
  m.of = op === ROL ? -(m.cf ^ top) : -(top ^ bit(m.lo, m.hi, bits - 2));
}

/** Through carry: bit by bit, for these are rare. */
function rotateCarry(m: Processor, op: number, size: number, count: number): void {
  const bits = 8 * size;
  const top = bits - 1;
  const steps = count % (bits + 1);
  if (steps === 0) return;
  const before = bit(m.lo, m.hi, top);
  for (let k = 0; k < steps; k++) {
    const lo = m.lo;
    const hi = m.hi;
    const carry = m.cf;
    if (op === RCL) {
      m.cf = bit(lo, hi, top);
      shl64(m, lo, hi, 1);
      m.lo |= carry;
    } else {
      m.cf = lo & 1;
      shr64(m, lo, hi, 1, 0);
      if (top >= 32) m.hi |= carry << (top - 32);
      else m.lo |= carry << top;
    }
    cut(m, size);
  }
  m.of = -(before ^ bit(m.lo, m.hi, top));
}

/** SHLD and SHRD: `dLo,dHi` shifted, filled from `sLo,sHi`. */
export function doubleShift(m: Processor, left: boolean, size: number, rawCount: number): void {
  const bits = 8 * size;
  const count = rawCount & (size === 8 ? 63 : 31);
  m.lo = m.dLo;
  m.hi = m.dHi;
  if (count === 0) return;
  m.fw = 0;
  const before = bit(m.dLo, m.dHi, bits - 1);
  // 16-bit counts above 16 go on with the destination, as processors do.
  for (let k = 0; k < count; k++) {
    const from = k % bits;
    const lo = m.lo;
    const hi = m.hi;
    const wrap = k >= bits;
    const inLo = wrap ? m.dLo : m.sLo;
    const inHi = wrap ? m.dHi : m.sHi;
    if (left) {
      m.cf = bit(lo, hi, bits - 1);
      shl64(m, lo, hi, 1);
      m.lo |= bit(inLo, inHi, bits - 1 - from);
    } else {
      m.cf = lo & 1;
      shr64(m, lo, hi, 1, 0);
      if (bits > 32) m.hi |= bit(inLo, inHi, from) << 31;
      else m.lo |= bit(inLo, inHi, from) << (bits - 1);
    }
    cut(m, size);
    if (k === count - 1) m.of = -(bit(lo, size === 8 ? hi : 0, bits - 1) ^ bit(m.lo, m.hi, bits - 1));
  }
  if (count === 1) m.of = -(before ^ bit(m.lo, m.hi, bits - 1));
  m.fa = 0;
  setResultSized(m, size, m.lo, m.hi);
}
