/** Packed integers of MMX, SSE2, SSSE3 and SSE4.1: arithmetic, comparison, shifts. Lanes go by 128 bits where it matters. */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_IMM, K_MEM } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import {
  A,
  B,
  binary,
  fetch,
  fetchSources,
  isMmx,
  isThree,
  lanesOf,
  type Operation,
  put,
  unary,
  usable,
} from './operands.ts';

type Lane = (a: number, b: number) => number;
type Kind = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32';
const BYTES: Readonly<Record<Kind, number>> = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4 };

/** One lane of a kind after the other. */
function lanes(kind: Kind, op: Lane): Operation {
  const size = BYTES[kind];
  return (v, n) => {
    const w = v[kind];
    for (let k = 0; k < n / size; k++) w[k] = op(w[A / size + k]!, w[B / size + k]!);
  };
}
const packed = (kind: Kind, op: Lane): Exec => binary(lanes(kind, op));

const clamp = (low: number, high: number) => (x: number) => (x < low ? low : x > high ? high : x);
const toI8 = clamp(-128, 127);
const toU8 = clamp(0, 255);
const toI16 = clamp(-32768, 32767);
const toU16 = clamp(0, 65535);

export const paddsb = packed('i8', (a, b) => toI8(a + b));
export const paddsw = packed('i16', (a, b) => toI16(a + b));
export const paddusb = packed('u8', (a, b) => toU8(a + b));
export const paddusw = packed('u16', (a, b) => toU16(a + b));
export const psubsb = packed('i8', (a, b) => toI8(a - b));
export const psubsw = packed('i16', (a, b) => toI16(a - b));
export const psubusb = packed('u8', (a, b) => toU8(a - b));
export const psubusw = packed('u16', (a, b) => toU16(a - b));
export const pmullw = packed('i16', (a, b) => a * b);
export const pmulhw = packed('i16', (a, b) => (a * b) >> 16);
export const pmulhuw = packed('u16', (a, b) => (a * b) / 65536);
export const pmulhrsw = packed('i16', (a, b) => (((a * b) >> 14) + 1) >> 1);
export const pmulld = packed('i32', (a, b) => Math.imul(a, b));
export const pavgb = packed('u8', (a, b) => (a + b + 1) >> 1);
export const pavgw = packed('u16', (a, b) => (a + b + 1) >> 1);
export const pminub = packed('u8', Math.min);
export const pmaxub = packed('u8', Math.max);
export const pminsb = packed('i8', Math.min);
export const pmaxsb = packed('i8', Math.max);
export const pminuw = packed('u16', Math.min);
export const pmaxuw = packed('u16', Math.max);
export const pminsw = packed('i16', Math.min);
export const pmaxsw = packed('i16', Math.max);
export const pminud = packed('u32', Math.min);
export const pmaxud = packed('u32', Math.max);
export const pminsd = packed('i32', Math.min);
export const pmaxsd = packed('i32', Math.max);
export const pcmpgtb = packed('i8', (a, b) => (a > b ? -1 : 0));
export const pcmpgtw = packed('i16', (a, b) => (a > b ? -1 : 0));
export const pcmpgtd = packed('i32', (a, b) => (a > b ? -1 : 0));
export const psignb = packed('i8', (a, b) => (b < 0 ? -a : b === 0 ? 0 : a));
export const psignw = packed('i16', (a, b) => (b < 0 ? -a : b === 0 ? 0 : a));
export const psignd = packed('i32', (a, b) => (b < 0 ? -a : b === 0 ? 0 : a));
export const pabsb = unary(lanes('i8', (_, b) => Math.abs(b)));
export const pabsw = unary(lanes('i16', (_, b) => Math.abs(b)));
export const pabsd = unary(lanes('i32', (_, b) => Math.abs(b)));

function packed64(op: (a: bigint, b: bigint) => bigint): Exec {
  return binary((v, n) => {
    for (let k = 0; k < n / 8; k++) v.i64[k] = op(v.i64[A / 8 + k]!, v.i64[B / 8 + k]!);
  });
}
const low = (a: bigint): bigint => BigInt.asUintN(32, a);
const lowSigned = (a: bigint): bigint => BigInt.asIntN(32, a);
export const pmuludq = packed64((a, b) => BigInt.asIntN(64, low(a) * low(b)));
export const pmuldq = packed64((a, b) => lowSigned(a) * lowSigned(b));
export const pcmpeqq = packed64((a, b) => (a === b ? -1n : 0n));
export const pcmpgtq = packed64((a, b) => (a > b ? -1n : 0n));

export const pmaddwd = binary((v, n) => {
  const product = (k: number): number => v.i16[A / 2 + k]! * v.i16[B / 2 + k]!;
  for (let k = 0; k < n / 4; k++) v.i32[k] = product(2 * k) + product(2 * k + 1);
});

export const pmaddubsw = binary((v, n) => {
  const product = (k: number): number => v.u8[A + k]! * v.i8[B + k]!;
  for (let k = 0; k < n / 2; k++) v.i16[k] = toI16(product(2 * k) + product(2 * k + 1));
});

export const psadbw = binary((v, n) => {
  for (let k = 0; k < n / 8; k++) {
    let sum = 0;
    for (let b = 8 * k; b < 8 * k + 8; b++) sum += Math.abs(v.u8[A + b]! - v.u8[B + b]!);
    v.u64[k] = BigInt(sum);
  }
});

/** Horizontal: neighbours of the first operand, then of the second, by 128 bits (or all 64 of MMX). */
function horizontal(kind: 'i16' | 'i32', op: Lane): Exec {
  const size = BYTES[kind];
  return binary((v, n) => {
    const w = v[kind];
    const part = Math.min(n, 16) / size;
    for (let base = 0; base < n / size; base += part) {
      for (let k = 0; k < part; k++) {
        const from = (k < part / 2 ? A : B) / size + base + ((2 * k) % part);
        w[base + k] = op(w[from]!, w[from + 1]!);
      }
    }
  });
}
export const phaddw = horizontal('i16', (a, b) => a + b);
export const phaddd = horizontal('i32', (a, b) => a + b);
export const phaddsw = horizontal('i16', (a, b) => toI16(a + b));
export const phsubw = horizontal('i16', (a, b) => a - b);
export const phsubd = horizontal('i32', (a, b) => a - b);
export const phsubsw = horizontal('i16', (a, b) => toI16(a - b));

/** PACKxx: wide lanes of both operands, narrowed and saturated. */
function pack(from: 'i16' | 'i32', to: 'i8' | 'u8' | 'i16' | 'u16', saturate: (x: number) => number): Exec {
  const size = BYTES[from];
  return binary((v, n) => {
    const part = Math.min(n, 16);
    const out: number[] = [];
    for (let base = 0; base < n; base += part) {
      for (const side of [A, B])
        for (let k = 0; k < part / size; k++) out.push(saturate(v[from][(side + base) / size + k]!));
    }
    out.forEach((x, k) => {
      v[to][k] = x;
    });
  });
}
export const packsswb = pack('i16', 'i8', toI8);
export const packuswb = pack('i16', 'u8', toU8);
export const packssdw = pack('i32', 'i16', toI16);
export const packusdw = pack('i32', 'u16', toU16);

/** PMOVSX and PMOVZX: the lowest lanes, widened. */
function widen(from: Kind, to: 'i16' | 'i32' | 'i64'): Exec {
  return unary((v, n) => {
    const count = n / (to === 'i16' ? 2 : to === 'i32' ? 4 : 8);
    const source = Array.from({ length: count }, (_, k) => v[from][B / BYTES[from] + k]!);
    source.forEach((x, k) => {
      if (to === 'i64') v.i64[k] = BigInt(x);
      else v[to][k] = x;
    });
  });
}
export const pmovsxbw = widen('i8', 'i16');
export const pmovsxbd = widen('i8', 'i32');
export const pmovsxbq = widen('i8', 'i64');
export const pmovsxwd = widen('i16', 'i32');
export const pmovsxwq = widen('i16', 'i64');
export const pmovsxdq = widen('i32', 'i64');
export const pmovzxbw = widen('u8', 'i16');
export const pmovzxbd = widen('u8', 'i32');
export const pmovzxbq = widen('u8', 'i64');
export const pmovzxwd = widen('u16', 'i32');
export const pmovzxwq = widen('u16', 'i64');
export const pmovzxdq = widen('u32', 'i64');

/** Shifts by an immediate, or by the low 64 bits of the source. */
function shift(width: 16 | 32 | 64, op: (x: bigint, count: bigint) => bigint): Exec {
  return (m, i) => {
    const stop = usable(m, i, isMmx(i)) || fetchShift(m, i);
    if (stop !== 0) return stop;
    const v = lanesOf(m);
    const count = v.u64[B / 8]!;
    const w = width === 16 ? v.i16 : v.i32;
    for (let k = 0; k < i.size / (width / 8); k++) {
      const at = (A * 8) / width + k;
      if (width === 64) v.i64[k] = BigInt.asIntN(64, op(v.i64[at]!, count));
      else w[k] = Number(BigInt.asIntN(width, op(BigInt(w[at]!), count)));
    }
    return put(m, i, i.size);
  };
}

/** What is shifted to `A`, and by how much to the first 64 bits of `B`. */
function fetchShift(m: Processor, i: Insn): number {
  const v = lanesOf(m);
  const three = i.k2 !== 0;
  const kind = three ? i.k2 : i.k1;
  if (kind !== K_IMM) {
    const n = isMmx(i) ? 8 : 16;
    const stop =
      kind === K_MEM ? fetchSources(m, i, n, three) : fetch(m, i, kind, three ? i.r2 : i.r1, n, B / 4);
    if (stop !== 0) return stop;
  }
  const stop = fetch(m, i, i.k0, three ? i.r1 : i.r0, i.size, A / 4);
  if (kind === K_IMM) v.u64[B / 8] = BigInt(i.imm & 0xff);
  return stop;
}
const unsigned = (width: number) => (x: bigint) => BigInt.asUintN(width, x);
const left = (width: 16 | 32 | 64): Exec => shift(width, (x, n) => (n >= BigInt(width) ? 0n : x << n));
const right = (width: 16 | 32 | 64): Exec =>
  shift(width, (x, n) => (n >= BigInt(width) ? 0n : unsigned(width)(x) >> n));
const arithmetic = (width: 16 | 32): Exec =>
  shift(width, (x, n) => x >> (n >= BigInt(width) ? BigInt(width - 1) : n));
export const psllw = left(16);
export const pslld = left(32);
export const psllq = left(64);
export const psrlw = right(16);
export const psrld = right(32);
export const psrlq = right(64);
export const psraw = arithmetic(16);
export const psrad = arithmetic(32);

/** PSLLDQ and PSRLDQ: bytes, by 128 bits. */
function shiftBytes(sign: number): Exec {
  return (m, i) => {
    const stop = usable(m, i, false);
    if (stop !== 0) return stop;
    fetch(m, i, i.k0, isThree(i) || i.k1 !== K_IMM ? i.r1 : i.r0, i.size, A / 4);
    const count = Math.min(16, i.imm & 0xff);
    for (let k = 0; k < i.size; k++) {
      const from = (k % 16) - sign * count;
      m.buf[k] = from >= 0 && from < 16 ? m.buf[A + k - sign * count]! : 0;
    }
    return put(m, i, i.size);
  };
}
export const pslldq = shiftBytes(1);
export const psrldq = shiftBytes(-1);

/** PHMINPOSUW: the smallest word and where it is. */
export const phminposuw = unary((v) => {
  let at = 0;
  for (let k = 1; k < 8; k++) if (v.u16[B / 2 + k]! < v.u16[B / 2 + at]!) at = k;
  const min = v.u16[B / 2 + at]!;
  v.u64[0] = BigInt(min) | (BigInt(at) << 16n);
  v.u64[1] = 0n;
});

/** MPSADBW: eight sums of absolute differences of four bytes, by 128 bits. */
export const mpsadbw = binary((v, n, i) => {
  for (let base = 0; base < n; base += 16) {
    const control = (i.imm >> (base === 0 ? 0 : 3)) & 7;
    const a = A + base + (control & 4);
    const b = B + base + (control & 3) * 4;
    for (let k = 0; k < 8; k++) {
      let sum = 0;
      for (let x = 0; x < 4; x++) sum += Math.abs(v.u8[a + k + x]! - v.u8[b + x]!);
      v.u16[base / 2 + k] = sum;
    }
  }
});
