/** Conversions between integers, singles and doubles, and ROUNDxx. MXCSR's rounding control counts; overflow is the integer indefinite. */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_MEM, K_MMX, K_REG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { toBig } from '../integer/muldiv.ts';
import { fetchScalar } from './exec-float.ts';
import { B, fetch, fetchSource, type Lanes, lanesOf, put, unary, usable } from './operands.ts';

/** Rounds by a control of two bits: to nearest even, down, up, towards zero. */
function roundTo(control: number, v: number): number {
  if (control === 1) return Math.floor(v);
  if (control === 2) return Math.ceil(v);
  if (control === 3 || !Number.isFinite(v)) return Math.trunc(v);
  const f = Math.floor(v);
  const rest = v - f;
  const r = rest < 0.5 || (rest === 0.5 && f % 2 === 0) ? f : f + 1;
  // What rounds to zero keeps its sign.
  return r === 0 && (v < 0 || Object.is(v, -0)) ? -0 : r;
}

const TRUNCATE = 3;
const controlOf = (m: Processor): number => (m.regs.mxcsr >> 13) & 3;

/** A number as an int32, or the indefinite one. */
function toInt32(control: number, v: number): number {
  const r = roundTo(control, v);
  return r >= -(2 ** 31) && r < 2 ** 31 ? r : -(2 ** 31);
}

function toInt64(control: number, v: number): bigint {
  const r = roundTo(control, v);
  return r >= -(2 ** 63) && r < 2 ** 63 ? BigInt(r) : -(1n << 63n);
}

/** CVTSI2Sx: from a general register or memory. */
function fromInteger(n: 4 | 8): Exec {
  return (m, i) => {
    const three = i.k2 !== 0;
    const [kind, reg] = three ? [i.k2, i.r2] : [i.k1, i.r1];
    const size = kind === K_MEM ? i.memSize : three ? (i.rexW ? 8 : 4) : i.size1;
    let stop = usable(m, i, false);
    if (stop !== 0) return stop;
    stop = kind === K_MEM ? m.port.load(i.seg, m.ea(i), size) : 0;
    if (stop !== 0) return stop;
    if (kind === K_REG) m.getReg(reg, size);
    const value = size === 4 ? m.lo : Number(BigInt.asIntN(64, toBig(m.lo, m.hi)));
    fetch(m, i, i.k0, three ? i.r1 : i.r0, 16, 0);
    const v = lanesOf(m);
    if (n === 4) v.f32[0] = value;
    else v.f64[0] = value;
    return put(m, i, 16);
  };
}
export const cvtsi2ss = fromInteger(4);
export const cvtsi2sd = fromInteger(8);

/** CVT(T)Sx2SI: into a general register. */
function toInteger(n: 4 | 8, truncate: boolean): Exec {
  return (m, i) => {
    const stop = usable(m, i, false) || fetch(m, i, i.k1, i.r1, n, B / 4);
    if (stop !== 0) return stop;
    const v = lanesOf(m);
    const x = n === 4 ? v.f32[B / 4]! : v.f64[B / 8]!;
    const control = truncate ? TRUNCATE : controlOf(m);
    if (i.size === 4) m.setReg(i.r0, 4, toInt32(control, x), 0);
    else {
      const big = toInt64(control, x);
      m.setReg(i.r0, 8, Number(BigInt.asIntN(32, big)), Number(BigInt.asIntN(32, big >> 32n)));
    }
    return 0;
  };
}
export const cvtss2si = toInteger(4, false);
export const cvttss2si = toInteger(4, true);
export const cvtsd2si = toInteger(8, false);
export const cvttsd2si = toInteger(8, true);

/** A single as a double; a NaN keeps its sign and payload, and becomes quiet. */
function single(v: Lanes, from: number, to: number): void {
  const bits = v.u32[from]!;
  if (!Number.isNaN(v.f32[from]!)) v.f64[to] = v.f32[from]!;
  else v.u64[to] = (BigInt(bits >>> 31) << 63n) | (0xfffn << 51n) | (BigInt(bits & 0x3fffff) << 29n);
}

/** A double as a single, likewise. */
function double(v: Lanes, from: number, to: number): void {
  const bits = v.u64[from]!;
  if (!Number.isNaN(v.f64[from]!)) v.f32[to] = v.f64[from]!;
  else v.u32[to] = Number((bits >> 63n) << 31n) + 0x7fc00000 + Number((bits >> 29n) & 0x3fffffn);
}

export function cvtss2sd(m: Processor, i: Insn): number {
  const stop = fetchScalar(m, i, 4);
  if (stop !== 0) return stop;
  const v = lanesOf(m);
  single(v, B / 4, 0);
  return put(m, i, 16);
}

export function cvtsd2ss(m: Processor, i: Insn): number {
  const stop = fetchScalar(m, i, 8);
  if (stop !== 0) return stop;
  const v = lanesOf(m);
  double(v, B / 8, 0);
  return put(m, i, 16);
}

/** Widens the lower half of the source: two lanes of four bytes become two of eight (or four, for 256 bits). */
function widen(convert: (v: Lanes, k: number) => void): Exec {
  return (m, i) => {
    const half = i.size / 2;
    const stop = usable(m, i, i.k1 === K_MMX) || fetch(m, i, i.k1, i.r1, half, B / 4);
    if (stop !== 0) return stop;
    const v = lanesOf(m);
    for (let k = 0; k < i.size / 8; k++) convert(v, k);
    return put(m, i, i.size);
  };
}
export const cvtps2pd = widen((v, k) => single(v, B / 4 + k, k));
export const cvtdq2pd = widen((v, k) => {
  v.f64[k] = v.i32[B / 4 + k]!;
});

/** Narrows: lanes of eight bytes become lanes of four, the rest of the result is 0. */
function narrow(convert: (m: Processor, v: Lanes, k: number) => void): Exec {
  return (m, i) => {
    const n = i.k1 === K_MEM ? i.memSize : i.size1;
    const stop = usable(m, i, false) || fetchSource(m, i);
    if (stop !== 0) return stop;
    const v = lanesOf(m);
    v.u64.fill(0n, 0, 4);
    for (let k = 0; k < n / 8; k++) convert(m, v, k);
    return put(m, i, 16);
  };
}
export const cvtpd2ps = narrow((_, v, k) => double(v, B / 8 + k, k));
export const cvtpd2dq = narrow((m, v, k) => {
  v.i32[k] = toInt32(controlOf(m), v.f64[B / 8 + k]!);
});
export const cvttpd2dq = narrow((_, v, k) => {
  v.i32[k] = toInt32(TRUNCATE, v.f64[B / 8 + k]!);
});

export const cvtdq2ps = unary((v, n) => {
  for (let k = 0; k < n / 4; k++) v.f32[k] = v.i32[B / 4 + k]!;
});
export const cvttps2dq = unary((v, n) => {
  for (let k = 0; k < n / 4; k++) v.i32[k] = toInt32(TRUNCATE, v.f32[B / 4 + k]!);
});
export function cvtps2dq(m: Processor, i: Insn): number {
  const control = controlOf(m);
  return unary((v, n) => {
    for (let k = 0; k < n / 4; k++) v.i32[k] = toInt32(control, v.f32[B / 4 + k]!);
  })(m, i);
}

/** ROUNDxx's control: the immediate's, or MXCSR's where its bit 2 says so. */
const roundControl = (m: Processor, i: Insn): number => (i.imm & 4 ? controlOf(m) : i.imm & 3);

function round32(v: Lanes, k: number, control: number): void {
  const x = v.f32[B / 4 + k]!;
  v.f32[k] = roundTo(control, x);
  if (Number.isNaN(x)) v.i32[k] = v.i32[B / 4 + k]! | 0x400000;
}

function round64(v: Lanes, k: number, control: number): void {
  const x = v.f64[B / 8 + k]!;
  v.f64[k] = roundTo(control, x);
  if (Number.isNaN(x)) v.u64[k] = v.u64[B / 8 + k]! | (1n << 51n);
}

export function roundps(m: Processor, i: Insn): number {
  const control = roundControl(m, i);
  return unary((v, n) => {
    for (let k = 0; k < n / 4; k++) round32(v, k, control);
  })(m, i);
}

export function roundpd(m: Processor, i: Insn): number {
  const control = roundControl(m, i);
  return unary((v, n) => {
    for (let k = 0; k < n / 8; k++) round64(v, k, control);
  })(m, i);
}

export function roundss(m: Processor, i: Insn): number {
  const stop = fetchScalar(m, i, 4);
  if (stop !== 0) return stop;
  round32(lanesOf(m), 0, roundControl(m, i));
  return put(m, i, 16);
}

export function roundsd(m: Processor, i: Insn): number {
  const stop = fetchScalar(m, i, 8);
  if (stop !== 0) return stop;
  round64(lanesOf(m), 0, roundControl(m, i));
  return put(m, i, 16);
}
