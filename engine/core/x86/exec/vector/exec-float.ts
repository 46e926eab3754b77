/**
 * Floating point of SSE to SSE4.1, and its VEX forms: rounded to nearest with every exception masked, as after reset.
 * Another setting of MXCSR is not supported where it would matter, and its sticky flags are not kept.
 */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_VEC } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNSUPPORTED } from '../../processor-port.ts';
import { A, B, binary, fetch, isThree, type Lanes, lanesOf, put, unary, usable } from './operands.ts';

/** All exceptions masked; DAZ, FTZ and rounding control clear. */
const MXCSR_MODES = 0xffc0;
const MXCSR_PLAIN = 0x1f80;
const isPlain = (m: Processor): boolean => (m.regs.mxcsr & MXCSR_MODES) === MXCSR_PLAIN;

/** An operation with that check in front. */
const plain =
  (exec: Exec): Exec =>
  (m, i) =>
    isPlain(m) ? exec(m, i) : UNSUPPORTED;

type Lane = (a: number, b: number) => number;

/** The quiet form of a single's NaN, or the processor's own. */
function nan32(v: Lanes, at: number, a: number, b: number): void {
  const [x, y] = [v.f32[a]!, v.f32[b]!];
  if (Number.isNaN(x)) v.i32[at] = v.i32[a]! | 0x400000;
  else v.i32[at] = Number.isNaN(y) ? v.i32[b]! | 0x400000 : 0xffc00000 | 0;
}

function nan64(v: Lanes, at: number, a: number, b: number): void {
  const [x, y] = [v.f64[a]!, v.f64[b]!];
  if (Number.isNaN(x)) v.u64[at] = v.u64[a]! | (1n << 51n);
  else v.u64[at] = Number.isNaN(y) ? v.u64[b]! | (1n << 51n) : 0xfff8000000000000n;
}

function into32(v: Lanes, at: number, a: number, b: number, op: Lane): void {
  const r = op(v.f32[a]!, v.f32[b]!);
  v.f32[at] = r;
  if (Number.isNaN(r)) nan32(v, at, a, b);
}

function into64(v: Lanes, at: number, a: number, b: number, op: Lane): void {
  const r = op(v.f64[a]!, v.f64[b]!);
  v.f64[at] = r;
  if (Number.isNaN(r)) nan64(v, at, a, b);
}

function lane32(v: Lanes, k: number, op: Lane): void {
  into32(v, k, A / 4 + k, B / 4 + k, op);
}

function lane64(v: Lanes, k: number, op: Lane): void {
  into64(v, k, A / 8 + k, B / 8 + k, op);
}

const packed32 = (op: Lane): Exec =>
  plain(
    binary((v, n) => {
      for (let k = 0; k < n / 4; k++) lane32(v, k, op);
    }),
  );
const packed64 = (op: Lane): Exec =>
  plain(
    binary((v, n) => {
      for (let k = 0; k < n / 8; k++) lane64(v, k, op);
    }),
  );

/** The first operand's register as the result, and the low lane of the second to `B`. */
export function fetchScalar(m: Processor, i: Insn, n: number): number {
  const three = isThree(i);
  const [kind, reg] = three ? [i.k2, i.r2] : [i.k1, i.r1];
  const stop = usable(m, i, false) || fetch(m, i, kind, reg, n, B / 4);
  if (stop !== 0) return stop;
  fetch(m, i, K_VEC, three ? i.r1 : i.r0, 16, A / 4);
  m.buf.copyWithin(0, A, A + 16);
  return 0;
}

function scalar(n: 4 | 8, op: Lane): Exec {
  return plain((m, i) => {
    const stop = fetchScalar(m, i, n);
    if (stop !== 0) return stop;
    if (n === 4) lane32(lanesOf(m), 0, op);
    else lane64(lanesOf(m), 0, op);
    return put(m, i, 16);
  });
}

/** The four forms of an operation: PS, PD, SS, SD. */
const forms = (op: Lane): readonly [Exec, Exec, Exec, Exec] => [
  packed32(op),
  packed64(op),
  scalar(4, op),
  scalar(8, op),
];
export const add = forms((a, b) => a + b);
export const sub = forms((a, b) => a - b);
export const mul = forms((a, b) => a * b);
export const div = forms((a, b) => a / b);

/** MIN and MAX give the second operand where either is a NaN or both are zero: the lane is copied as it is. */
function extremum(takesFirst: (a: number, b: number) => boolean): readonly [Exec, Exec, Exec, Exec] {
  const one32 = (v: Lanes, k: number): void => {
    v.i32[k] = v.i32[(takesFirst(v.f32[A / 4 + k]!, v.f32[B / 4 + k]!) ? A : B) / 4 + k]!;
  };
  const one64 = (v: Lanes, k: number): void => {
    v.u64[k] = v.u64[(takesFirst(v.f64[A / 8 + k]!, v.f64[B / 8 + k]!) ? A : B) / 8 + k]!;
  };
  return [
    binary((v, n) => {
      for (let k = 0; k < n / 4; k++) one32(v, k);
    }),
    binary((v, n) => {
      for (let k = 0; k < n / 8; k++) one64(v, k);
    }),
    (m, i) => {
      const stop = fetchScalar(m, i, 4);
      if (stop !== 0) return stop;
      one32(lanesOf(m), 0);
      return put(m, i, 16);
    },
    (m, i) => {
      const stop = fetchScalar(m, i, 8);
      if (stop !== 0) return stop;
      one64(lanesOf(m), 0);
      return put(m, i, 16);
    },
  ];
}
export const min = extremum((a, b) => a < b);
export const max = extremum((a, b) => a > b);

const root = (_: number, b: number): number => Math.sqrt(b);
/** The first operand of a function of one is not looked at, not even where the result is no number. */
function unaryForms(op: Lane): readonly [Exec, Exec, Exec, Exec] {
  return [
    plain(
      unary((v, n) => {
        for (let k = 0; k < n / 4; k++) one32(v, k, op);
      }),
    ),
    plain(
      unary((v, n) => {
        for (let k = 0; k < n / 8; k++) one64(v, k, op);
      }),
    ),
    plain((m, i) => {
      const stop = fetchScalar(m, i, 4);
      if (stop !== 0) return stop;
      one32(lanesOf(m), 0, op);
      return put(m, i, 16);
    }),
    plain((m, i) => {
      const stop = fetchScalar(m, i, 8);
      if (stop !== 0) return stop;
      one64(lanesOf(m), 0, op);
      return put(m, i, 16);
    }),
  ];
}

function one32(v: Lanes, k: number, op: Lane): void {
  const r = op(0, v.f32[B / 4 + k]!);
  v.f32[k] = r;
  if (Number.isNaN(r)) nan32(v, k, B / 4 + k, B / 4 + k);
}

function one64(v: Lanes, k: number, op: Lane): void {
  const r = op(0, v.f64[B / 8 + k]!);
  v.f64[k] = r;
  if (Number.isNaN(r)) nan64(v, k, B / 8 + k, B / 8 + k);
}
export const sqrt = unaryForms(root);
/** RCP and RSQRT: QEMU's processor computes them exactly, and rounds. */
export const rcp = unaryForms((_, b) => 1 / b);
export const rsqrt = unaryForms((_, b) => 1 / Math.sqrt(b));

/** ADDSUB: even lanes are subtracted. */
export const addsubps = plain(
  binary((v, n) => {
    for (let k = 0; k < n / 4; k++) lane32(v, k, k % 2 === 0 ? (a, b) => a - b : (a, b) => a + b);
  }),
);
export const addsubpd = plain(
  binary((v, n) => {
    for (let k = 0; k < n / 8; k++) lane64(v, k, k % 2 === 0 ? (a, b) => a - b : (a, b) => a + b);
  }),
);

function horizontal32(op: Lane): Exec {
  return plain(
    binary((v, n) => {
      for (let base = 0; base < n / 4; base += 4) {
        for (let k = 0; k < 4; k++) {
          const from = (k < 2 ? A : B) / 4 + base + ((2 * k) & 3);
          into32(v, base + k, from, from + 1, op);
        }
      }
    }),
  );
}

function horizontal64(op: Lane): Exec {
  return plain(
    binary((v, n) => {
      for (let k = 0; k < n / 8; k++) {
        const from = (k % 2 === 0 ? A : B) / 8 + (k & ~1);
        into64(v, k, from, from + 1, op);
      }
    }),
  );
}
export const haddps = horizontal32((a, b) => a + b);
export const hsubps = horizontal32((a, b) => a - b);
export const haddpd = horizontal64((a, b) => a + b);
export const hsubpd = horizontal64((a, b) => a - b);

/** Lanes behind the operands, where DPPS and DPPD keep products and sums. */
const SPARE = 96;

const plus: Lane = (a, b) => a + b;
const times: Lane = (a, b) => a * b;

/** DPPS: products where the immediate says, and their sum where it says. */
export const dpps = plain(
  binary((v, n, i) => {
    const t = SPARE / 4;
    for (let base = 0; base < n / 4; base += 4) {
      for (let k = 0; k < 4; k++) {
        v.f32[t + k] = 0;
        if ((i.imm >> (4 + k)) & 1) into32(v, t + k, A / 4 + base + k, B / 4 + base + k, times);
      }
      into32(v, t, t, t + 1, plus);
      into32(v, t + 2, t + 2, t + 3, plus);
      into32(v, t, t, t + 2, plus);
      for (let k = 0; k < 4; k++) v.i32[base + k] = (i.imm >> k) & 1 ? v.i32[t]! : 0;
    }
  }),
);

/** DPPD. */
export const dppd = plain(
  binary((v, _, i) => {
    const t = SPARE / 8;
    for (let k = 0; k < 2; k++) {
      v.f64[t + k] = 0;
      if ((i.imm >> (4 + k)) & 1) into64(v, t + k, A / 8 + k, B / 8 + k, times);
    }
    into64(v, t, t, t + 1, plus);
    for (let k = 0; k < 2; k++) v.u64[k] = (i.imm >> k) & 1 ? v.u64[t]! : 0n;
  }),
);
