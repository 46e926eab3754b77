/**
 * Operands of vector instructions: into and out of the machine's byte buffer. Operand values lie where `A` and `B`
 * say, the result from the start; a register is written only when every part of every operand has been loaded.
 */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_IMM, K_MEM, K_MMX, K_NONE, K_REG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_GP, VECTOR_NM, VECTOR_UD } from '../../processor-port.ts';
import { CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXSAVE, MODE_REAL16 } from '../../regs.ts';

/** First and second operand in the buffer, in bytes: the destination as it was, and the source. */
export const A = 32;
export const B = 64;

/** May vector instructions run at all? 0, or #UD or #NM raised. */
export function usable(m: Processor, i: Insn, mmx: boolean): number {
  const regs = m.regs;
  if (i.vex) {
    if ((regs.cr4 & CR4_OSXSAVE) === 0 || regs.mode === MODE_REAL16) return m.raise(VECTOR_UD, -1);
  } else if (regs.cr0 & CR0_EM) return m.raise(VECTOR_UD, -1);
  else if (!mmx && (regs.cr4 & CR4_OSFXSR) === 0) return m.raise(VECTOR_UD, -1);
  return regs.cr0 & CR0_TS ? m.raise(VECTOR_NM, -1) : 0;
}

/** Copies `n` bytes of an operand to word `at` of the buffer; registers first, for memory overwrites word 0. */
export function fetch(m: Processor, i: Insn, kind: number, reg: number, n: number, at: number): number {
  const w = m.words;
  if (kind === K_MEM) {
    if (n > 8) {
      const stop = m.port.loadBytes(i.seg, m.ea(i), n);
      if (stop !== 0) return stop;
      if (at !== 0) w.copyWithin(at, 0, n >> 2);
      return 0;
    }
    const stop = m.port.load(i.seg, m.ea(i), n);
    w[at] = m.lo;
    w[at + 1] = m.hi;
    return stop;
  }
  if (kind === K_REG) {
    m.getReg(reg, n);
    w[at] = m.lo;
    w[at + 1] = m.hi;
    return 0;
  }
  const from = kind === K_MMX ? m.regs.mmx : m.regs.ymm;
  const base = kind === K_MMX ? reg * 2 : reg * 8;
  for (let k = 0; k < n >> 2; k++) w[at + k] = from[base + k]!;
  return 0;
}

/** Writes `n` bytes from word 0 of the buffer to operand 0; the rest of a vector register becomes 0. */
export function put(m: Processor, i: Insn, n: number): number {
  const w = m.words;
  if (i.k0 === K_MEM) {
    if (n > 8) return m.port.storeBytes(i.seg, m.ea(i), n);
    return m.port.store(i.seg, m.ea(i), n, w[0]!, n === 8 ? w[1]! : 0);
  }
  if (i.k0 === K_REG) {
    m.setReg(i.r0, n, w[0]!, n === 8 ? w[1]! : 0);
    return 0;
  }
  if (i.k0 === K_MMX) {
    m.regs.mmx[2 * i.r0] = w[0]!;
    m.regs.mmx[2 * i.r0 + 1] = n === 8 ? w[1]! : 0;
    touchMmx(m);
    return 0;
  }
  // Legacy SSE keeps what is above 128 bits, VEX clears it.
  const base = i.r0 * 8;
  const end = i.vex ? 8 : 4;
  for (let k = 0; k < end; k++) m.regs.ymm[base + k] = k < n >> 2 ? w[k]! : 0;
  return 0;
}

/** Writing an MMX register marks every x87 register as in use and resets the stack's top. */
function touchMmx(m: Processor): void {
  m.regs.fpuTop = 0;
  m.regs.fpuTags = 0xff;
}

/** Is this MMX, so that CR4.OSFXSR does not matter? */
export function isMmx(i: Insn): boolean {
  return i.k0 === K_MMX || i.k1 === K_MMX;
}

/** Three operands that hold values (VEX), not a destination that is a source too. */
export const isThree = (i: Insn): boolean => i.k2 !== K_NONE && i.k2 !== K_IMM;

/** Both sources of `n` bytes, to `A` and `B`. The memory operand of a legacy 16-byte form has to be aligned. */
export function fetchSources(m: Processor, i: Insn, n: number, three = isThree(i)): number {
  const kind = three ? i.k2 : i.k1;
  if (kind === K_MEM && n === 16 && !i.vex && m.ea(i) % 16 !== 0) return m.raise(VECTOR_GP, 0);
  const stop = fetch(m, i, kind, three ? i.r2 : i.r1, n, 16);
  if (stop !== 0) return stop;
  return fetch(m, i, i.k0, three ? i.r1 : i.r0, n, 8);
}

/** What an operation sees: the buffer as lanes of every kind. */
export interface Lanes {
  readonly u8: Uint8Array;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly i16: Int16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly u64: BigUint64Array;
  readonly i64: BigInt64Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
}

const lanesOfMachine = new WeakMap<Processor, Lanes>();

/** The buffer of a machine as lanes; made once. */
export function lanesOf(m: Processor): Lanes {
  let lanes = lanesOfMachine.get(m);
  if (lanes === undefined) {
    const { buffer } = m.buf;
    lanes = {
      u8: m.buf,
      i8: new Int8Array(buffer),
      u16: new Uint16Array(buffer),
      i16: new Int16Array(buffer),
      u32: new Uint32Array(buffer),
      i32: m.words,
      u64: new BigUint64Array(buffer),
      i64: new BigInt64Array(buffer),
      f32: new Float32Array(buffer),
      f64: new Float64Array(buffer),
    };
    lanesOfMachine.set(m, lanes);
  }
  return lanes;
}

/** Computes `n` bytes of result from `A` and `B`. */
export type Operation = (v: Lanes, n: number, i: Insn) => void;

/** dst = op(dst, src), or with VEX op(src1, src2). */
export function binary(op: Operation): Exec {
  return (m, i) => {
    const stop = usable(m, i, isMmx(i)) || fetchSources(m, i, i.size);
    if (stop !== 0) return stop;
    op(lanesOf(m), i.size, i);
    return put(m, i, i.size);
  };
}

/** dst = op(src): the source, of the size its kind has, is at `B`. */
export function unary(op: Operation): Exec {
  return (m, i) => {
    const stop = usable(m, i, isMmx(i)) || fetchSource(m, i);
    if (stop !== 0) return stop;
    op(lanesOf(m), i.size, i);
    return put(m, i, i.size);
  };
}

/** The one source, operand 1, to `B`. */
export function fetchSource(m: Processor, i: Insn): number {
  const n = i.k1 === K_MEM ? i.memSize : i.size1;
  if (i.k1 === K_MEM && n === 16 && !i.vex && m.ea(i) % 16 !== 0) return m.raise(VECTOR_GP, 0);
  return fetch(m, i, i.k1, i.r1, n, B / 4);
}
