/**
 * Arithmetic on a machine: `dLo,dHi` op `sLo,sHi` into `lo,hi`, with flags. 8- and 16-bit operands are worked
 * on at the top of a 32-bit word, so that carry, overflow and sign come out of one formula for all three sizes.
 */
import type { Processor } from '../../processor.ts';

/** Flags of a result of `size` bytes, without CF and OF. */
export function setResultSized(m: Processor, size: number, lo: number, hi: number): void {
  if (size === 8) {
    m.fz = lo | hi;
    m.fs = hi;
  } else {
    const r = lo << (32 - 8 * size);
    m.fz = r;
    m.fs = r;
  }
  m.fp = lo;
}

/** dst + src + carry. */
export function addCarry(m: Processor, size: number, carry: number): void {
  const a = m.dLo;
  const b = m.sLo;
  if (size === 8) {
    add64(m, carry);
    return;
  }
  const s = 32 - 8 * size;
  const x = a << s;
  const y = b << s;
  const r = (x + y + (carry << s)) | 0;
  m.cf = ((x & y) | ((x | y) & ~r)) >>> 31;
  m.of = (x ^ r) & (y ^ r);
  m.lo = size === 4 ? r : r >>> s;
  m.hi = 0;
  m.fz = r;
  m.fs = r;
  m.fp = m.lo;
  m.fa = a ^ b ^ m.lo;
  m.fw = 8 * size;
}

function add64(m: Processor, carry: number): void {
  const low = (m.dLo >>> 0) + (m.sLo >>> 0) + carry;
  const lo = low | 0;
  const x = m.dHi;
  const y = m.sHi;
  const hi = (x + y + (low > 0xffffffff ? 1 : 0)) | 0;
  m.cf = ((x & y) | ((x | y) & ~hi)) >>> 31;
  m.of = (x ^ hi) & (y ^ hi);
  m.fz = lo | hi;
  m.fs = hi;
  m.fp = lo;
  m.fa = m.dLo ^ m.sLo ^ lo;
  m.fw = 64;
  m.lo = lo;
  m.hi = hi;
}

/** dst - src - borrow. */
export function subBorrow(m: Processor, size: number, borrow: number): void {
  const a = m.dLo;
  const b = m.sLo;
  if (size === 8) {
    sub64(m, borrow);
    return;
  }
  const s = 32 - 8 * size;
  const x = a << s;
  const y = b << s;
  const r = (x - y - (borrow << s)) | 0;
  m.cf = ((~x & y) | ((~x | y) & r)) >>> 31;
  m.of = (x ^ y) & (x ^ r);
  m.lo = size === 4 ? r : r >>> s;
  m.hi = 0;
  m.fz = r;
  m.fs = r;
  m.fp = m.lo;
  m.fa = a ^ b ^ m.lo;
  m.fw = 8 * size;
}

function sub64(m: Processor, borrow: number): void {
  const low = (m.dLo >>> 0) - (m.sLo >>> 0) - borrow;
  const lo = low | 0;
  const x = m.dHi;
  const y = m.sHi;
  const hi = (x - y - (low < 0 ? 1 : 0)) | 0;
  m.cf = ((~x & y) | ((~x | y) & hi)) >>> 31;
  m.of = (x ^ y) & (x ^ hi);
  m.fz = lo | hi;
  m.fs = hi;
  m.fp = lo;
  m.fa = m.dLo ^ m.sLo ^ lo;
  m.fw = 64;
  m.lo = lo;
  m.hi = hi;
}

/** Flags of AND, OR, XOR and TEST: CF, OF and AF are clear, the rest follows `lo,hi`. */
export function logicFlags(m: Processor, size: number): void {
  m.cf = 0;
  m.of = 0;
  m.fa = 0;
  m.fw = 8 * size;
  setResultSized(m, size, m.lo, m.hi);
}

/** 32-bit shapes of the same for the hot loop: value in, value out. */
export function add32(m: Processor, a: number, b: number): number {
  const r = (a + b) | 0;
  m.cf = r >>> 0 < a >>> 0 ? 1 : 0;
  m.of = (a ^ r) & (b ^ r);
  m.fz = r;
  m.fs = r;
  m.fp = r;
  m.fa = a ^ b ^ r;
  m.fw = 32;
  return r;
}

/** SUB and CMP of 32 bits: the difference, and all flags. */
export function sub32(m: Processor, a: number, b: number): number {
  const r = (a - b) | 0;
  m.cf = a >>> 0 < b >>> 0 ? 1 : 0;
  m.of = (a ^ b) & (a ^ r);
  m.fz = r;
  m.fs = r;
  m.fp = r;
  m.fa = a ^ b ^ r;
  m.fw = 32;
  return r;
}

/** Flags of AND, OR, XOR and TEST of 32 bits, whose result is `r`: CF and OF are clear. */
export function logic32(m: Processor, r: number): number {
  m.cf = 0;
  m.of = 0;
  m.fz = r;
  m.fs = r;
  m.fp = r;
  m.fa = 0;
  m.fw = 32;
  return r;
}

/** INC and DEC leave CF alone. */
export function inc32(m: Processor, a: number): number {
  const r = (a + 1) | 0;
  m.of = ~a & r;
  m.fz = r;
  m.fs = r;
  m.fp = r;
  m.fa = a ^ 1 ^ r;
  m.fw = 32;
  return r;
}

/** DEC of 32 bits; CF stays. */
export function dec32(m: Processor, a: number): number {
  const r = (a - 1) | 0;
  m.of = a & ~r;
  m.fz = r;
  m.fs = r;
  m.fp = r;
  m.fa = a ^ 1 ^ r;
  m.fw = 32;
  return r;
}
