/** Comparisons of floating-point lanes: CMPxx to masks, COMISx and UCOMISx to flags. */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_VEC } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { fetchScalar } from './exec-float.ts';
import { A, B, binary, fetch, lanesOf, put, usable } from './operands.ts';

/** The eight predicates of CMPxx, and VEX's 24 more, by what they say of less, equal, greater and unordered. */
function predicate(imm: number, a: number, b: number): boolean {
  const unordered = Number.isNaN(a) || Number.isNaN(b);
  const p = imm & 15;
  switch (p) {
    case 0:
      return a === b;
    case 1:
      return a < b;
    case 2:
      return a <= b;
    case 3:
      return unordered;
    case 4:
      return unordered || a !== b;
    case 5:
      return !(a < b);
    case 6:
      return !(a <= b);
    case 7:
      return !unordered;
    case 8:
      return unordered || a === b;
    case 9:
      return !(a >= b);
    case 10:
      return !(a > b);
    case 11:
      return false;
    case 12:
      return !unordered && a !== b;
    case 13:
      return a >= b;
    case 14:
      return a > b;
    default:
      return true;
  }
}

const maskOf = (i: Insn): number => i.imm & (i.vex ? 31 : 7);
export const cmpps = binary((v, n, i) => {
  for (let k = 0; k < n / 4; k++)
    v.i32[k] = predicate(maskOf(i), v.f32[A / 4 + k]!, v.f32[B / 4 + k]!) ? -1 : 0;
});
export const cmppd = binary((v, n, i) => {
  for (let k = 0; k < n / 8; k++)
    v.i64[k] = predicate(maskOf(i), v.f64[A / 8 + k]!, v.f64[B / 8 + k]!) ? -1n : 0n;
});

export function cmpss(m: Processor, i: Insn): number {
  const stop = fetchScalar(m, i, 4);
  if (stop !== 0) return stop;
  const v = lanesOf(m);
  v.i32[0] = predicate(maskOf(i), v.f32[A / 4]!, v.f32[B / 4]!) ? -1 : 0;
  return put(m, i, 16);
}

export function cmpsd(m: Processor, i: Insn): number {
  const stop = fetchScalar(m, i, 8);
  if (stop !== 0) return stop;
  const v = lanesOf(m);
  v.i64[0] = predicate(maskOf(i), v.f64[A / 8]!, v.f64[B / 8]!) ? -1n : 0n;
  return put(m, i, 16);
}

/** COMISx and UCOMISx: ZF PF CF as for unsigned numbers, all three where one is a NaN. */
function compare(n: 4 | 8): Exec {
  return (m, i) => {
    const stop = usable(m, i, false) || fetch(m, i, i.k1, i.r1, n, B / 4);
    if (stop !== 0) return stop;
    fetch(m, i, K_VEC, i.r0, 16, A / 4);
    const v = lanesOf(m);
    const a = n === 4 ? v.f32[A / 4]! : v.f64[A / 8]!;
    const b = n === 4 ? v.f32[B / 4]! : v.f64[B / 8]!;
    const unordered = Number.isNaN(a) || Number.isNaN(b);
    m.cf = unordered || a < b ? 1 : 0;
    m.fz = unordered || a === b ? 0 : 1;
    m.fp = unordered ? 0 : 1;
    m.fs = 0;
    m.of = 0;
    m.fa = 0;
    m.fw = 0;
    return 0;
  };
}
export const comiss = compare(4);
export const comisd = compare(8);
