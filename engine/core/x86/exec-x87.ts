/**
 * x87 in doubles. The 80-bit format is converted on load and store, so results that need more than 53 bits of
 * precision differ from a processor's; no store here depends on that but `fstp m80`.
 */
import { type Exec, type Insn, K_MEM, K_NONE } from './insn.ts';
import { type Machine, UNHANDLEABLE, VECTOR_GP, VECTOR_NM } from './machine.ts';
import { bigHi, bigLo, toBig } from './muldiv.ts';
import { CR0_EM, CR0_TS, CR4_OSFXSR, MODE_LONG64, RAX } from './regs.ts';

/** x87 needs CR0.EM and CR0.TS clear; both give #NM. */
function usable(m: Machine): number {
  return m.regs.cr0 & (CR0_EM | CR0_TS) ? m.raise(VECTOR_NM, -1) : 0;
}

function checked(run: Exec): Exec {
  return (m, i) => {
    const stop = usable(m);
    return stop !== 0 ? stop : run(m, i);
  };
}

function get(m: Machine, n: number): number {
  return m.regs.st[(m.regs.fpuTop + n) & 7]!;
}

function set(m: Machine, n: number, v: number): void {
  const r = (m.regs.fpuTop + n) & 7;
  m.regs.st[r] = v;
  m.regs.fpuTags |= 1 << r;
}

function pushStack(m: Machine, v: number): void {
  m.regs.fpuTop = (m.regs.fpuTop + 7) & 7;
  set(m, 0, v);
}

function popStack(m: Machine): void {
  m.regs.fpuTags &= ~(1 << m.regs.fpuTop);
  m.regs.fpuTop = (m.regs.fpuTop + 1) & 7;
}

export const fninit = checked((m) => {
  m.regs.fpuControl = 0x37f;
  m.regs.fpuStatus = 0;
  m.regs.fpuTop = 0;
  m.regs.fpuTags = 0;
  return 0;
});

export const fnclex = checked((m) => {
  m.regs.fpuStatus &= 0x7f00;
  return 0;
});

function constant(v: number): Exec {
  return checked((m) => {
    pushStack(m, v);
    return 0;
  });
}
export const fld1 = constant(1);
export const fldz = constant(0);
export const fldpi = constant(Math.PI);
export const fldl2e = constant(Math.LOG2E);
export const fldln2 = constant(Math.LN2);
export const fldl2t = constant(Math.log2(10));
export const fldlg2 = constant(Math.log10(2));

/** Ten bytes of the buffer as a number. */
function fromExtended(m: Machine): number {
  const exp = m.view.getUint16(8, true);
  const mantissa = m.view.getBigUint64(0, true);
  const sign = exp & 0x8000 ? -1 : 1;
  if ((exp & 0x7fff) === 0x7fff) return mantissa << 1n === 0n || mantissa === 1n << 63n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (mantissa === 0n) return sign * 0;
  const e = (exp & 0x7fff) - 16383 - 63;
  // In two steps, so that neither factor leaves the range of a double.
  const h = Math.trunc(e / 2);
  return sign * Number(mantissa) * 2 ** h * 2 ** (e - h);
}

/** A number as ten bytes of the buffer, at `at`. */
function toExtended(m: Machine, v: number, at: number): void {
  const view = m.view;
  view.setFloat64(at, v, true);
  const bits = view.getBigUint64(at, true);
  const sign = bits >> 63n ? 0x8000 : 0;
  const exp = Number((bits >> 52n) & 0x7ffn);
  let mantissa = bits & 0xfffffffffffffn;
  let e = 0;
  if (exp === 0x7ff) {
    e = 0x7fff;
    mantissa = (1n << 63n) | (mantissa << 11n);
  } else if (exp !== 0) {
    e = exp - 1023 + 16383;
    mantissa = (1n << 63n) | (mantissa << 11n);
  } else if (mantissa !== 0n) {
    const shift = BigInt(64 - mantissa.toString(2).length);
    e = 16383 - 1074 + 63 - Number(shift);
    mantissa <<= shift;
  }
  view.setBigUint64(at, mantissa, true);
  view.setUint16(at + 8, sign | e, true);
}

/** A floating-point memory operand of 4, 8 or 10 bytes, or a stack register; why it was refused is in `m.stopped`. */

function operand(m: Machine, i: Insn): number {
  m.stopped = 0;
  if (i.k0 !== K_MEM) return get(m, i.k1 === K_NONE ? i.r0 : i.r1);
  const off = m.ea(i);
  m.stopped = i.memSize === 10 ? m.port.loadBytes(i.seg, off, 10) : m.port.load(i.seg, off, i.memSize);
  if (m.stopped !== 0) return Number.NaN;
  if (i.memSize === 10) return fromExtended(m);
  m.words[0] = m.lo;
  m.words[1] = m.hi;
  return i.memSize === 4 ? m.view.getFloat32(0, true) : m.view.getFloat64(0, true);
}

export const fld = checked((m, i) => {
  const v = operand(m, i);
  if (m.stopped === 0) pushStack(m, v);
  return m.stopped;
});

/** A signed integer memory operand of 2, 4 or 8 bytes. */
function integer(m: Machine, i: Insn): number {
  m.stopped = m.port.load(i.seg, m.ea(i), i.memSize);
  if (i.memSize === 2) return (m.lo << 16) >> 16;
  return i.memSize === 4 ? m.lo : Number(BigInt.asIntN(64, toBig(m.lo, m.hi)));
}

export const fild = checked((m, i) => {
  const v = integer(m, i);
  if (m.stopped === 0) pushStack(m, v);
  return m.stopped;
});

function storeFloat(pop: boolean): Exec {
  return checked((m, i) => {
    const v = get(m, 0);
    let stop = 0;
    if (i.k0 !== K_MEM) set(m, i.r0, v);
    else if (i.memSize === 10) {
      toExtended(m, v, 0);
      stop = m.port.storeBytes(i.seg, m.ea(i), 10);
    } else {
      if (i.memSize === 4) m.view.setFloat32(0, v, true);
      else m.view.setFloat64(0, v, true);
      stop = m.port.store(i.seg, m.ea(i), i.memSize, m.words[0]!, m.words[1]!);
    }
    if (stop === 0 && pop) popStack(m);
    return stop;
  });
}
export const fst = storeFloat(false);
export const fstp = storeFloat(true);

/** Rounds as the control word says (nearest is to even). */
function round(m: Machine, v: number): number {
  const mode = (m.regs.fpuControl >> 10) & 3;
  if (mode === 1) return Math.floor(v);
  if (mode === 2) return Math.ceil(v);
  if (mode === 3) return Math.trunc(v);
  const f = Math.floor(v);
  const rest = v - f;
  return rest < 0.5 || (rest === 0.5 && f % 2 === 0) ? f : f + 1;
}

function storeInteger(pop: boolean, truncate: boolean): Exec {
  return checked((m, i) => {
    const v = get(m, 0);
    const limit = 2 ** (8 * i.memSize - 1);
    const r = truncate ? Math.trunc(v) : round(m, v);
    // What does not fit becomes the integer indefinite, the most negative number.
    const big = r >= -limit && r < limit ? BigInt(r) : BigInt(-limit);
    const stop = m.port.store(i.seg, m.ea(i), i.memSize, bigLo(big), bigHi(big));
    if (stop === 0 && pop) popStack(m);
    return stop;
  });
}
export const fist = storeInteger(false, false);
export const fistp = storeInteger(true, false);
export const fisttp = storeInteger(true, true);

export const fnstcw = checked((m, i) => m.port.store(i.seg, m.ea(i), 2, m.regs.fpuControl, 0));

export const fldcw = checked((m, i) => {
  const stop = m.port.load(i.seg, m.ea(i), 2);
  if (stop === 0) m.regs.fpuControl = m.lo | 0x40;
  return stop;
});

function statusWord(m: Machine): number {
  return (m.regs.fpuStatus & ~0x3800) | (m.regs.fpuTop << 11);
}

export const fnstsw = checked((m, i) => {
  if (i.k0 === K_MEM) return m.port.store(i.seg, m.ea(i), 2, statusWord(m), 0);
  m.setReg(RAX, 2, statusWord(m), 0);
  return 0;
});

export const fxch = checked((m, i) => {
  const n = i.k1 === K_NONE ? i.r0 : i.r1;
  const v = get(m, n);
  set(m, n, get(m, 0));
  set(m, 0, v);
  return 0;
});

export const fchs = checked((m) => {
  set(m, 0, -get(m, 0));
  return 0;
});

export const fabs = checked((m) => {
  set(m, 0, Math.abs(get(m, 0)));
  return 0;
});

type Binary = (a: number, b: number) => number;
const plus: Binary = (a, b) => a + b;
const minus: Binary = (a, b) => a - b;
const minusReversed: Binary = (a, b) => b - a;
const times: Binary = (a, b) => a * b;
const over: Binary = (a, b) => a / b;
const overReversed: Binary = (a, b) => b / a;

/** dst = dst op src: ST(0) with memory, or two stack registers of which the `pop` forms drop ST(0). */
function arithmetic(op: Binary, pop: boolean, isInteger: boolean): Exec {
  return checked((m, i) => {
    const v = isInteger ? integer(m, i) : operand(m, i);
    if (i.k0 === K_MEM) {
      if (m.stopped === 0) set(m, 0, op(get(m, 0), v));
      return m.stopped;
    }
    const dst = i.k1 === K_NONE ? 1 : i.r0;
    set(m, dst, op(get(m, dst), i.k1 === K_NONE ? get(m, 0) : v));
    if (pop) popStack(m);
    return 0;
  });
}
export const fadd = arithmetic(plus, false, false);
export const faddp = arithmetic(plus, true, false);
export const fiadd = arithmetic(plus, false, true);
export const fsub = arithmetic(minus, false, false);
export const fsubp = arithmetic(minus, true, false);
export const fisub = arithmetic(minus, false, true);
export const fsubr = arithmetic(minusReversed, false, false);
export const fsubrp = arithmetic(minusReversed, true, false);
export const fmul = arithmetic(times, false, false);
export const fmulp = arithmetic(times, true, false);
export const fimul = arithmetic(times, false, true);
export const fdiv = arithmetic(over, false, false);
export const fdivp = arithmetic(over, true, false);
export const fidiv = arithmetic(over, false, true);
export const fdivr = arithmetic(overReversed, false, false);
export const fdivrp = arithmetic(overReversed, true, false);

/** FXSAVE as QEMU's processor does it, store by store: bytes that no field covers stay as they were. */
export const fxsave = checked((m, i) => {
  const off = m.ea(i);
  if (off % 16 !== 0) return m.raise(VECTOR_GP, 0);
  if (m.port.emulator) return fxsaveEmulated(m, i, off);
  const regs = m.regs;
  const put = (at: number, n: number, lo: number, hi: number): boolean => {
    m.stopped = m.port.store(i.seg, off + at, n, lo, hi);
    return m.stopped !== 0;
  };
  if (put(0, 2, regs.fpuControl, 0) || put(2, 2, statusWord(m), 0) || put(4, 2, regs.fpuTags, 0)) return m.stopped;
  if (put(8, 8, 0, 0) || put(16, 8, 0, 0)) return m.stopped;
  for (let n = 0; n < 8; n++) {
    toExtended(m, get(m, n), 0);
    const [a, b, c] = [m.words[0]!, m.words[1]!, m.words[2]! & 0xffff];
    if (put(32 + 16 * n, 8, a, b) || put(40 + 16 * n, 2, c, 0)) return m.stopped;
  }
  if ((regs.cr4 & CR4_OSFXSR) === 0) return 0;
  if (put(24, 4, regs.mxcsr, 0) || put(28, 4, 0xffff, 0)) return m.stopped;
  for (let n = 0; n < (regs.mode === MODE_LONG64 ? 16 : 8); n++) {
    const w = regs.ymm;
    if (put(160 + 16 * n, 8, w[8 * n]!, w[8 * n + 1]!)) return m.stopped;
    if (put(168 + 16 * n, 8, w[8 * n + 2]!, w[8 * n + 3]!)) return m.stopped;
  }
  return 0;
});

/** em_fxsave(): not in 64-bit mode; the image goes to memory through `write_std()`. */
function fxsaveEmulated(m: Machine, i: Insn, off: number): number {
  const regs = m.regs;
  if (regs.mode === MODE_LONG64) return UNHANDLEABLE;
  m.buf.fill(0);
  for (let n = 0; n < 8; n++) toExtended(m, get(m, n), 32 + 16 * n);
  m.view.setUint16(0, regs.fpuControl, true);
  m.view.setUint16(2, statusWord(m), true);
  m.buf[4] = regs.fpuTags;
  m.view.setUint32(24, regs.mxcsr, true);
  m.view.setUint32(28, 0xffff, true);
  for (let n = 0; n < 8; n++) for (let k = 0; k < 4; k++) m.words[40 + 4 * n + k] = regs.ymm[8 * n + k]!;
  return m.port.storeStd(i.seg, off, regs.cr4 & CR4_OSFXSR ? 288 : 160);
}

export const fxrstor = checked((m, i) => {
  const off = m.ea(i);
  if (off % 16 !== 0) return m.raise(VECTOR_GP, 0);
  const stop = m.port.loadBytes(i.seg, off, 416);
  if (stop !== 0) return stop;
  const regs = m.regs;
  if (m.view.getUint32(24, true) & ~0xffff) return m.raise(VECTOR_GP, 0);
  regs.fpuControl = m.view.getUint16(0, true) | 0x40;
  regs.fpuStatus = m.view.getUint16(2, true);
  regs.fpuTop = (regs.fpuStatus >> 11) & 7;
  const tags = m.buf[4]!;
  const image = m.buf.slice(0, 416);
  if (regs.cr4 & CR4_OSFXSR) {
    regs.mxcsr = m.view.getUint32(24, true);
    for (let n = 0; n < (regs.mode === MODE_LONG64 ? 16 : 8); n++)
      for (let k = 0; k < 4; k++) regs.ymm[8 * n + k] = m.words[40 + 4 * n + k]!;
  }
  for (let n = 0; n < 8; n++) {
    m.buf.set(image.subarray(32 + 16 * n, 42 + 16 * n));
    set(m, n, fromExtended(m));
  }
  regs.fpuTags = tags;
  return 0;
});
