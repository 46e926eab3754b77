/**
 * Multiplication and division. Double-width products and quotients are rare, so 64-bit forms use bigint; the
 * flags that paper leaves undefined are those of QEMU's processor: SF, ZF and PF follow the low half.
 */

import type { Processor } from '../../processor.ts';
import { VECTOR_DE } from '../../processor-port.ts';
import { RAX, RDX } from '../../regs.ts';
import { setResultSized } from './alu.ts';

const MASK32 = 0xffffffffn;

/** The pair as an unsigned bigint. */
export function toBig(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

/** The low half of a bigint, as int32. */
export function bigLo(v: bigint): number {
  return Number(v & MASK32) | 0;
}

/** The high half of 64 bits of a bigint, as int32. */
export function bigHi(v: bigint): number {
  return Number((v >> 32n) & MASK32) | 0;
}

/** Sign-extends an operand of 1, 2 or 4 bytes. */
function signed(v: number, size: number): number {
  return size === 1 ? (v << 24) >> 24 : size === 2 ? (v << 16) >> 16 : v;
}

function setOverflow(m: Processor, overflow: boolean): void {
  m.cf = overflow ? 1 : 0;
  m.of = overflow ? -1 : 0;
  m.fa = 0;
}

/** The double-width product of accumulator and `sLo,sHi` into RDX:RAX (AX for bytes). */
export function multiplyWide(m: Processor, size: number, isSigned: boolean): void {
  m.getReg(RAX, size);
  const bits = BigInt(8 * size);
  let a = BigInt.asUintN(Number(bits), toBig(m.lo, m.hi));
  let b = BigInt.asUintN(Number(bits), toBig(m.sLo, m.sHi));
  if (isSigned) {
    a = BigInt.asIntN(Number(bits), a);
    b = BigInt.asIntN(Number(bits), b);
  }
  const p = a * b;
  const fits = isSigned ? BigInt.asIntN(Number(bits), p) === p : p >> bits === 0n;
  const lo = bigLo(p);
  const hi = bigHi(p);
  setResultSized(m, size, lo, hi);
  m.fw = 8 * size;
  setOverflow(m, !fits);
  if (size === 1) m.setReg(RAX, 2, lo, 0);
  else {
    const high = p >> bits;
    m.setReg(RAX, size, lo, hi);
    m.setReg(RDX, size, bigLo(high), bigHi(high));
  }
}

/** `dLo,dHi` times `sLo,sHi`, signed, low half into `lo,hi`: IMUL with two or three operands. */
export function multiply(m: Processor, size: number): void {
  if (size === 8) {
    const p = BigInt.asIntN(64, toBig(m.dLo, m.dHi)) * BigInt.asIntN(64, toBig(m.sLo, m.sHi));
    m.lo = bigLo(p);
    m.hi = bigHi(p);
    setOverflow(m, BigInt.asIntN(64, p) !== p);
  } else {
    const a = signed(m.dLo, size);
    const b = signed(m.sLo, size);
    const lo = Math.imul(a, b);
    // Exact for 16 bits; for 32 the comparison needs only the top of the product, which a double keeps.
    setOverflow(m, signed(lo, size) !== a * b);
    m.lo = size === 2 ? lo & 0xffff : lo;
    m.hi = 0;
  }
  setResultSized(m, size, m.lo, m.hi);
  m.fw = 8 * size;
}

/** RDX:RAX (AX for bytes) divided by `sLo,sHi`: quotient and remainder, or #DE. Flags stay. */
export function divide(m: Processor, size: number, isSigned: boolean): number {
  const bits = 8 * size;
  m.getReg(RAX, size === 1 ? 2 : size);
  let n = BigInt.asUintN(size === 1 ? 16 : bits, toBig(m.lo, m.hi));
  if (size !== 1) {
    m.getReg(RDX, size);
    n |= BigInt.asUintN(bits, toBig(m.lo, m.hi)) << BigInt(bits);
  }
  let d = BigInt.asUintN(bits, toBig(m.sLo, m.sHi));
  if (isSigned) {
    n = BigInt.asIntN(2 * bits, n);
    d = BigInt.asIntN(bits, d);
  }
  if (d === 0n) return m.raise(VECTOR_DE, -1);
  const q = n / d;
  const r = n % d;
  const fits = isSigned ? BigInt.asIntN(bits, q) === q : q >> BigInt(bits) === 0n;
  if (!fits) return m.raise(VECTOR_DE, -1);
  if (size === 1) m.setReg(RAX, 2, (bigLo(q) & 0xff) | ((bigLo(r) & 0xff) << 8), 0);
  else {
    m.setReg(RAX, size, bigLo(q), bigHi(q));
    m.setReg(RDX, size, bigLo(r), bigHi(r));
  }
  return 0;
}
