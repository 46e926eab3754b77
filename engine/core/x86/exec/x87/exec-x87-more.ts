/**
 * x87 beyond arithmetic: comparisons, roots and rounding, transcendental functions (in doubles, as all of x87 here),
 * moves by condition, and the environment in memory. Exceptions are masked; the status word keeps its condition codes.
 */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_MEM, K_NONE } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { integer, operand, popStack, pushStack, round } from './exec-x87.ts';
import { fromExtended, toExtended } from './extended.ts';
import { checked, get, set, statusWord } from './x87-state.ts';

/** Condition codes in the status word. */
const C0 = 0x100;
const C1 = 0x200;
const C2 = 0x400;
const C3 = 0x4000;

function setCodes(m: Processor, codes: number): void {
  m.regs.fpuStatus = (m.regs.fpuStatus & ~(C0 | C1 | C2 | C3)) | codes;
}

function codesOf(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return C0 | C2 | C3;
  return a < b ? C0 : a === b ? C3 : 0;
}

/** FCOM and its like: ST(0) against an operand, then so many pops. */
function compare(pops: number, source: (m: Processor, i: Insn) => number): Exec {
  return checked((m, i) => {
    m.stopped = 0;
    const v = source(m, i);
    if (m.stopped !== 0) return m.stopped;
    setCodes(m, codesOf(get(m, 0), v));
    for (let k = 0; k < pops; k++) popStack(m);
    return 0;
  });
}
/** The operand: memory, the register named last, or ST(1). */
const other = (m: Processor, i: Insn): number => {
  if (i.k0 === K_MEM) return operand(m, i);
  return get(m, i.k1 !== K_NONE ? i.r1 : i.k0 !== K_NONE ? i.r0 : 1);
};
export const fcom = compare(0, other);
export const fcomp = compare(1, other);
export const fcompp = compare(2, (m) => get(m, 1));
export const ficom = compare(0, integer);
export const ficomp = compare(1, integer);
export const ftst = compare(0, () => 0);

/** FCOMI and FUCOMI: the same into EFLAGS. */
function compareFlags(pop: boolean): Exec {
  return checked((m, i) => {
    const codes = codesOf(get(m, 0), get(m, i.k1 === K_NONE ? i.r0 : i.r1));
    m.cf = codes & C0 ? 1 : 0;
    m.fz = codes & C3 ? 0 : 1;
    m.fp = codes & C2 ? 0 : 1;
    m.fs = 0;
    m.of = 0;
    m.fa = 0;
    m.fw = 0;
    if (pop) popStack(m);
    return 0;
  });
}
export const fcomi = compareFlags(false);
export const fcomip = compareFlags(true);

/** FXAM: what kind of number ST(0) is. */
export const fxam = checked((m) => {
  const v = get(m, 0);
  const sign = v < 0 || Object.is(v, -0) ? C1 : 0;
  const used = (m.regs.fpuTags >> m.regs.fpuTop) & 1;
  let kind = C2;
  if (!used) kind = C0 | C3;
  else if (Number.isNaN(v)) kind = C0;
  else if (!Number.isFinite(v)) kind = C0 | C2;
  else if (v === 0) kind = C3;
  setCodes(m, sign | kind);
  return 0;
});

/** ST(0) becomes a function of itself. */
function apply(f: (v: number, m: Processor) => number): Exec {
  return checked((m) => {
    set(m, 0, f(get(m, 0), m));
    return 0;
  });
}
export const fsqrt = apply(Math.sqrt);
export const frndint = apply((v, m) => (Number.isFinite(v) ? round(m, v) : v));
export const f2xm1 = apply((v) => 2 ** v - 1);
export const fscale = apply((v, m) => v * 2 ** Math.trunc(get(m, 1)));

/** Functions that clear C2: the argument was in range. */
function trigonometric(f: (m: Processor, v: number) => void): Exec {
  return checked((m) => {
    const v = get(m, 0);
    if (Math.abs(v) >= 2 ** 63) {
      m.regs.fpuStatus |= C2;
      return 0;
    }
    m.regs.fpuStatus &= ~C2;
    f(m, v);
    return 0;
  });
}
export const fsin = trigonometric((m, v) => set(m, 0, Math.sin(v)));
export const fcos = trigonometric((m, v) => set(m, 0, Math.cos(v)));
export const fsincos = trigonometric((m, v) => {
  set(m, 0, Math.sin(v));
  pushStack(m, Math.cos(v));
});
export const fptan = trigonometric((m, v) => {
  set(m, 0, Math.tan(v));
  pushStack(m, 1);
});

/** ST(1) becomes a function of both, and the stack is popped. */
function combine(f: (x: number, y: number) => number): Exec {
  return checked((m) => {
    set(m, 1, f(get(m, 0), get(m, 1)));
    popStack(m);
    return 0;
  });
}
export const fpatan = combine((x, y) => Math.atan2(y, x));
export const fyl2x = combine((x, y) => y * Math.log2(x));
export const fyl2xp1 = combine((x, y) => y * (Math.log1p(x) / Math.LN2));

export const fxtract = checked((m) => {
  const v = get(m, 0);
  const e = v === 0 ? Number.NEGATIVE_INFINITY : Math.floor(Math.log2(Math.abs(v)));
  set(m, 0, e);
  pushStack(m, Number.isFinite(e) ? v / 2 ** e : v);
  return 0;
});

/** FPREM and FPREM1: the whole remainder at once, so C2 is clear; the quotient's low bits in C0, C3, C1. */
function remainder(nearest: boolean): Exec {
  return checked((m) => {
    const [a, b] = [get(m, 0), get(m, 1)];
    let r = a % b;
    let q = Math.trunc((a - r) / b);
    // What is left of truncation is at most one divisor too much.
    const twice = 2 * Math.abs(r);
    if (nearest && (twice > Math.abs(b) || (twice === Math.abs(b) && q % 2 !== 0))) {
      const up = r < 0 === b < 0 ? 1 : -1;
      r -= up * b;
      q += up;
    }
    set(m, 0, r);
    const low = Number.isFinite(q) ? Math.abs(q) % 8 : 0;
    setCodes(m, (low & 4 ? C0 : 0) | (low & 2 ? C3 : 0) | (low & 1 ? C1 : 0));
    return 0;
  });
}
export const fprem = remainder(false);
export const fprem1 = remainder(true);

/** FCMOVcc: the condition is in the opcode's low bits, and DB turns it around. */
export const fcmov = checked((m, i) => {
  const cc = (i.modrm >> 3) & 3;
  const [below, equal, unordered] = [m.cf !== 0, m.fz === 0, m.test(10)];
  const holds = [below, equal, below || equal, unordered][cc]!;
  if (holds === (i.opcode === 0xda)) set(m, 0, get(m, i.k1 === K_NONE ? i.r0 : i.r1));
  return 0;
});

export const ffree = checked((m, i) => {
  m.regs.fpuTags &= ~(1 << ((m.regs.fpuTop + i.r0) & 7));
  return 0;
});

export const fincstp = checked((m) => {
  m.regs.fpuTop = (m.regs.fpuTop + 1) & 7;
  return 0;
});

export const fdecstp = checked((m) => {
  m.regs.fpuTop = (m.regs.fpuTop + 7) & 7;
  return 0;
});

/** Two bits a register: 3 is empty, 0 in use (zero and special are told from the value by who cares). */
function tagWord(m: Processor): number {
  let word = 0;
  for (let r = 0; r < 8; r++) {
    const v = m.regs.st[r]!;
    const used = (m.regs.fpuTags >> r) & 1;
    word |= (used ? (v === 0 ? 1 : Number.isFinite(v) ? 0 : 2) : 3) << (2 * r);
  }
  return word;
}

/** Bytes of the environment: seven words of the operand size. */
const wordSize = (i: Insn): number => (i.opSize === 2 ? 2 : 4);

function storeEnvironment(m: Processor, i: Insn, off: number): number {
  const size = wordSize(i);
  const values = [m.regs.fpuControl, statusWord(m), tagWord(m), 0, 0, 0, 0];
  for (const [k, value] of values.entries()) {
    const stop = m.port.store(i.seg, off + k * size, size, value, 0);
    if (stop !== 0) return stop;
  }
  return 0;
}

export const fnstenv = checked((m, i) => {
  const stop = storeEnvironment(m, i, m.ea(i));
  if (stop === 0) m.regs.fpuControl |= 0x3f;
  return stop;
});

function loadEnvironment(m: Processor, i: Insn, off: number): number {
  const size = wordSize(i);
  const values: number[] = [];
  for (let k = 0; k < 3; k++) {
    const stop = m.port.load(i.seg, off + k * size, size);
    if (stop !== 0) return stop;
    values.push(m.lo & 0xffff);
  }
  const { regs } = m;
  regs.fpuControl = values[0]! | 0x40;
  regs.fpuStatus = values[1]!;
  regs.fpuTop = (values[1]! >> 11) & 7;
  regs.fpuTags = 0;
  for (let r = 0; r < 8; r++) if (((values[2]! >> (2 * r)) & 3) !== 3) regs.fpuTags |= 1 << r;
  return 0;
}

export const fldenv = checked((m, i) => loadEnvironment(m, i, m.ea(i)));

/** FNSAVE: the environment and the registers; then as FNINIT. */
export const fnsave = checked((m, i) => {
  const off = m.ea(i);
  const stop = storeEnvironment(m, i, off);
  if (stop !== 0) return stop;
  for (let n = 0; n < 8; n++) {
    toExtended(m, get(m, n), 0);
    const refused = m.port.storeBytes(i.seg, off + 7 * wordSize(i) + 10 * n, 10);
    if (refused !== 0) return refused;
  }
  const { regs } = m;
  regs.fpuControl = 0x37f;
  regs.fpuStatus = 0;
  regs.fpuTop = 0;
  regs.fpuTags = 0;
  return 0;
});

export const frstor = checked((m, i) => {
  const off = m.ea(i);
  const values: number[] = [];
  for (let n = 0; n < 8; n++) {
    const stop = m.port.loadBytes(i.seg, off + 7 * wordSize(i) + 10 * n, 10);
    if (stop !== 0) return stop;
    values.push(fromExtended(m));
  }
  const stop = loadEnvironment(m, i, off);
  if (stop !== 0) return stop;
  const tags = m.regs.fpuTags;
  for (const [n, v] of values.entries()) set(m, n, v);
  m.regs.fpuTags = tags;
  return 0;
});
