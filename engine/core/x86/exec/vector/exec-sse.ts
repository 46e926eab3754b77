/**
 * MMX, SSE and AVX: moves, and the integer and bitwise operations that are one line. Operands travel through
 * the machine's byte buffer; a register is written only when every part of its operand has been loaded.
 */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_MEM, K_VEC } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_GP } from '../../processor-port.ts';
import { RDI } from '../../regs.ts';
import { A, B, fetch, fetchSources, isMmx, put, usable } from './operands.ts';

/** Full-width moves; `aligned` ones fault on an address that is no multiple of the width. */
function move(aligned: boolean): Exec {
  return (m, i) => {
    let stop = usable(m, i, isMmx(i));
    if (stop !== 0) return stop;
    const n = i.size;
    if (aligned && (i.k0 === K_MEM || i.k1 === K_MEM) && m.ea(i) % n !== 0) return m.raise(VECTOR_GP, 0);
    stop = fetch(m, i, i.k1, i.r1, n, 0);
    return stop !== 0 ? stop : put(m, i, n);
  };
}
export const moveAligned = move(true);
export const moveUnaligned = move(false);

/** MOVD, MOVQ, MOVNTI, MOVNTQ: `n` bytes of either side, zero-extended into a vector register. */
function moveLow(m: Processor, i: Insn, n: number): number {
  let stop = usable(m, i, isMmx(i));
  if (stop !== 0) return stop;
  stop = fetch(m, i, i.k1, i.r1, n, 0);
  return stop !== 0 ? stop : put(m, i, n);
}

export function movd(m: Processor, i: Insn): number {
  return moveLow(m, i, 4);
}

export function movq(m: Processor, i: Insn): number {
  return moveLow(m, i, 8);
}

/** MOVNTI is an ordinary store of a general register. */
export function movnti(m: Processor, i: Insn): number {
  m.getReg(i.r1, i.size);
  m.ea(i);
  return m.writeDst(i);
}

/** MOVSS and MOVSD: loads clear the rest of the register, register forms merge (VEX: with operand 1). */
function scalar(n: number): Exec {
  return (m, i) => {
    let stop = usable(m, i, false);
    if (stop !== 0) return stop;
    if (i.k0 !== K_VEC || i.k1 === K_MEM) {
      stop = fetch(m, i, i.k1, i.r1, n, 0);
      return stop !== 0 ? stop : put(m, i, n);
    }
    const three = i.k2 === K_VEC;
    fetch(m, i, K_VEC, three ? i.r1 : i.r0, 16, 0);
    const from = (three ? i.r2 : i.r1) * 8;
    for (let k = 0; k < n >> 2; k++) m.words[k] = m.regs.ymm[from + k]!;
    return put(m, i, 16);
  };
}
export const movss = scalar(4);
export const movsd = scalar(8);

/** MOVLPS, MOVHPS and their doubles: one half of a register to or from memory, or the other half of another. */
function half(high: boolean): Exec {
  return (m, i) => {
    let stop = usable(m, i, false);
    if (stop !== 0) return stop;
    const at = high ? 2 : 0;
    const ymm = m.regs.ymm;
    if (i.k0 === K_MEM) {
      const from = i.r1 * 8 + at;
      return m.port.store(i.seg, m.ea(i), 8, ymm[from]!, ymm[from + 1]!);
    }
    const three = i.k2 !== 0;
    const kind = three ? i.k2 : i.k1;
    const reg = three ? i.r2 : i.r1;
    stop = fetch(m, i, kind, reg, kind === K_MEM ? 8 : 16, 4);
    if (stop !== 0) return stop;
    // Register forms are MOVHLPS (high half down) and MOVLHPS (low half up).
    const from = kind === K_MEM || high ? 4 : 6;
    fetch(m, i, K_VEC, three ? i.r1 : i.r0, 16, 0);
    m.words[at] = m.words[from]!;
    m.words[at + 1] = m.words[from + 1]!;
    return put(m, i, 16);
  };
}
export const movlps = half(false);
export const movhps = half(true);

/** Lanes of a 32-bit word: an operation on 8, 16 or 32 bits at a time. */
type WordOp = (a: number, b: number) => number;

function add8(a: number, b: number): number {
  return ((a & 0x7f7f7f7f) + (b & 0x7f7f7f7f)) ^ ((a ^ b) & 0x80808080);
}

function sub8(a: number, b: number): number {
  return ((a | 0x80808080) - (b & 0x7f7f7f7f)) ^ ((a ^ ~b) & 0x80808080);
}

function add16(a: number, b: number): number {
  return ((a + b) & 0xffff) | (((a >>> 16) + (b >>> 16)) << 16);
}

function sub16(a: number, b: number): number {
  return ((a - b) & 0xffff) | (((a >>> 16) - (b >>> 16)) << 16);
}

function lanesEqual(width: number): WordOp {
  const mask = width === 32 ? -1 : (1 << width) - 1;
  return (a, b) => {
    let r = 0;
    for (let s = 0; s < 32; s += width) if (((a ^ b) & (mask << s)) === 0) r |= mask << s;
    return r;
  };
}

/** dst = dst op src, word by word. The memory operand of a legacy 16-byte form has to be aligned. */
function packed(op: WordOp): Exec {
  return (m, i) => {
    let stop = usable(m, i, isMmx(i));
    if (stop !== 0) return stop;
    const n = i.size;
    const three = i.k2 !== 0;
    stop = fetchSources(m, i, n, three);
    if (stop !== 0) return stop;
    const w = m.words;
    for (let k = 0; k < n >> 2; k++) w[k] = op(w[8 + k]!, w[16 + k]!);
    return put(m, i, n);
  };
}

export const paddb = packed(add8);
export const paddw = packed(add16);
export const paddd = packed((a, b) => a + b);
export const psubb = packed(sub8);
export const psubw = packed(sub16);
export const psubd = packed((a, b) => a - b);
export const pand = packed((a, b) => a & b);
export const pandn = packed((a, b) => ~a & b);
export const por = packed((a, b) => a | b);
export const pxor = packed((a, b) => a ^ b);
export const pcmpeqb = packed(lanesEqual(8));
export const pcmpeqw = packed(lanesEqual(16));
export const pcmpeqd = packed(lanesEqual(32));

/** PADDQ and PSUBQ: 64-bit lanes need a carry between words. */
function packedQuad(subtract: boolean): Exec {
  return (m, i) => {
    let stop = usable(m, i, isMmx(i));
    if (stop !== 0) return stop;
    stop = fetchSources(m, i, i.size, i.k2 !== 0);
    if (stop !== 0) return stop;
    const w = m.words;
    for (let k = 0; k < i.size >> 2; k += 2) {
      const a = w[8 + k]! >>> 0;
      const b = w[16 + k]! >>> 0;
      const low = subtract ? a - b : a + b;
      const carry = low < 0 || low > 0xffffffff ? 1 : 0;
      w[k] = low | 0;
      w[k + 1] = subtract ? w[9 + k]! - w[17 + k]! - carry : w[9 + k]! + w[17 + k]! + carry;
    }
    return put(m, i, i.size);
  };
}
export const paddq = packedQuad(false);
export const psubq = packedQuad(true);

/** STMXCSR and LDMXCSR. A reserved bit in the new value is #GP. */
export function stmxcsr(m: Processor, i: Insn): number {
  const stop = usable(m, i, false);
  return stop !== 0 ? stop : m.port.store(i.seg, m.ea(i), 4, m.regs.mxcsr, 0);
}

export function ldmxcsr(m: Processor, i: Insn): number {
  let stop = usable(m, i, false);
  if (stop !== 0) return stop;
  stop = m.port.load(i.seg, m.ea(i), 4);
  if (stop !== 0) return stop;
  if (m.lo & ~0xffff) return m.raise(VECTOR_GP, 0);
  m.regs.mxcsr = m.lo;
  return 0;
}

/** EMMS: every x87 register is free. VZEROUPPER: the upper halves are 0. */
export function emms(m: Processor): number {
  m.regs.fpuTags = 0;
  return 0;
}

export function vzeroupper(m: Processor, i: Insn): number {
  const stop = usable(m, i, false);
  if (stop !== 0) return stop;
  for (let r = 0; r < 16; r++) m.regs.ymm.fill(0, r * 8 + 4, r * 8 + 8);
  return 0;
}

/** MASKMOVQ and MASKMOVDQU: bytes whose mask has its sign, one store each, to DS:RDI. */
export function maskmov(m: Processor, i: Insn): number {
  const n = i.k1 === K_VEC ? 16 : 8;
  let stop = usable(m, i, n === 8);
  if (stop !== 0) return stop;
  fetch(m, i, i.k1, i.r1, n, 8);
  fetch(m, i, i.k2, i.r2, n, 16);
  const at = m.regAddress(RDI, i.addrSize);
  for (let k = 0; k < n && stop === 0; k++)
    if (m.buf[B + k]! & 0x80) stop = m.port.store(i.seg, at + k, 1, m.buf[A + k]!, 0);
  return stop;
}
