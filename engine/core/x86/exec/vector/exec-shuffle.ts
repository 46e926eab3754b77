/** Shuffles, unpacks, blends, and lanes to and from general registers. */
import type { Exec } from '../../insn/executable.ts';
import { type Insn, K_MEM, K_VEC } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import {
  A,
  B,
  binary,
  fetch,
  fetchSources,
  isMmx,
  isThree,
  type Lanes,
  lanesOf,
  put,
  unary,
  usable,
} from './operands.ts';

/** Result lane k of each 128 bits comes from the lane of the buffer that `pick` names, counted in lanes. */
type Pick = (k: number, imm: number, part: number) => readonly [side: number, lane: number];
type Wide = 'u8' | 'u16' | 'i32' | 'u64';
const BYTES: Readonly<Record<Wide, number>> = { u8: 1, u16: 2, i32: 4, u64: 8 };

function picked(kind: Wide, pick: Pick) {
  const size = BYTES[kind];
  return (v: Lanes, n: number, i: Insn): void => {
    const w = v[kind];
    const part = Math.min(n, 16) / size;
    for (let base = 0; base < n / size; base += part) {
      for (let k = 0; k < part; k++) {
        const [side, lane] = pick(k, i.imm & 0xff, part);
        w[base + k] = w[side / size + base + lane]!;
      }
    }
  };
}

const two = (n: number, at: number): number => (n >> (2 * at)) & 3;
export const pshufd = unary(picked('i32', (k, imm) => [B, two(imm, k)]));
export const pshufw = unary(picked('u16', (k, imm) => [B, two(imm, k)]));
export const pshuflw = unary(picked('u16', (k, imm) => [B, k < 4 ? two(imm, k) : k]));
export const pshufhw = unary(picked('u16', (k, imm) => [B, k < 4 ? k : 4 + two(imm, k - 4)]));
export const shufps = binary(picked('i32', (k, imm) => [k < 2 ? A : B, two(imm, k)]));

/** SHUFPD: one bit of the immediate for each lane of 64. */
export const shufpd = binary((v, n, i) => {
  for (let k = 0; k < n / 8; k++) {
    const side = k % 2 === 0 ? A : B;
    v.u64[k] = v.u64[side / 8 + (k & ~1) + ((i.imm >> k) & 1)]!;
  }
});

const unpackLow: Pick = (k) => [k % 2 === 0 ? A : B, k >> 1];
const unpackHigh: Pick = (k, _, part) => [k % 2 === 0 ? A : B, part / 2 + (k >> 1)];
export const punpcklbw = binary(picked('u8', unpackLow));
export const punpcklwd = binary(picked('u16', unpackLow));
export const punpckldq = binary(picked('i32', unpackLow));
export const punpcklqdq = binary(picked('u64', unpackLow));
export const punpckhbw = binary(picked('u8', unpackHigh));
export const punpckhwd = binary(picked('u16', unpackHigh));
export const punpckhdq = binary(picked('i32', unpackHigh));
export const punpckhqdq = binary(picked('u64', unpackHigh));

export const movsldup = unary(picked('i32', (k) => [B, k & ~1]));
export const movshdup = unary(picked('i32', (k) => [B, k | 1]));
export const movddup = unary(picked('u64', () => [B, 0]));

export const pshufb = binary((v, n) => {
  const part = Math.min(n, 16);
  for (let k = 0; k < n; k++) {
    const at = v.u8[B + k]!;
    v.u8[k] = at & 0x80 ? 0 : v.u8[A + (k & ~(part - 1)) + (at & (part - 1))]!;
  }
});

/** PALIGNR: the second operand below the first, moved down by bytes. */
export const palignr = binary((v, n, i) => {
  const part = Math.min(n, 16);
  for (let k = 0; k < n; k++) {
    const at = (k % part) + (i.imm & 0xff);
    const base = k - (k % part);
    v.u8[k] = at < part ? v.u8[B + base + at]! : at < 2 * part ? v.u8[A + base + at - part]! : 0;
  }
});

/** Lanes of the second operand where the immediate has a bit. */
const blend = (kind: Wide, bits: number): Exec =>
  binary((v, n, i) => {
    const size = BYTES[kind];
    const w = v[kind];
    for (let k = 0; k < n / size; k++) w[k] = w[((i.imm >> (k % bits)) & 1 ? B : A) / size + k]!;
  });
export const pblendw = blend('u16', 8);
export const blendps = blend('i32', 8);
export const blendpd = blend('u64', 8);

/** …or where the mask (XMM0, or with VEX operand 3) has its sign. */
function blendBySign(kind: 'u8' | 'i32' | 'u64'): Exec {
  const size = BYTES[kind];
  return (m, i) => {
    const stop = usable(m, i, false) || fetchSources(m, i, i.size, i.vex);
    if (stop !== 0) return stop;
    const v = lanesOf(m);
    const mask = new Uint8Array(m.regs.ymm.buffer, (i.vex ? i.r3 : 0) * 32, 32);
    const w = v[kind];
    for (let k = 0; k < i.size / size; k++) w[k] = w[(mask[size * k + size - 1]! & 0x80 ? B : A) / size + k]!;
    return put(m, i, i.size);
  };
}
export const pblendvb = blendBySign('u8');
export const blendvps = blendBySign('i32');
export const blendvpd = blendBySign('u64');

/** PMOVMSKB, MOVMSKPS, MOVMSKPD: the lanes' signs into a general register. */
function signs(size: number): Exec {
  return (m, i) => {
    const stop = usable(m, i, isMmx(i)) || fetch(m, i, i.k1, i.r1, i.size1, B / 4);
    if (stop !== 0) return stop;
    let mask = 0;
    for (let k = 0; k < i.size1 / size; k++) if (m.buf[B + size * k + size - 1]! & 0x80) mask |= 1 << k;
    m.setReg(i.r0, 4, mask, 0);
    return 0;
  };
}
export const pmovmskb = signs(1);
export const movmskps = signs(4);
export const movmskpd = signs(8);

/** PINSRx: one lane from a general register or memory. */
function insert(size: number): Exec {
  return (m, i) => {
    const three = isThree(i);
    const [kind, reg] = three ? [i.k2, i.r2] : [i.k1, i.r1];
    let stop = usable(m, i, isMmx(i));
    if (stop !== 0) return stop;
    stop = kind === K_MEM ? m.port.load(i.seg, m.ea(i), size) : 0;
    if (stop !== 0) return stop;
    if (kind !== K_MEM) m.getReg(reg, size === 8 ? 8 : 4);
    const [lo, hi] = [m.lo, m.hi];
    const n = isMmx(i) ? 8 : 16;
    fetch(m, i, i.k0, three ? i.r1 : i.r0, n, 0);
    const at = ((i.imm & 0xff) % (n / size)) * size;
    for (let k = 0; k < size; k++) m.buf[at + k] = k < 4 ? lo >>> (8 * k) : hi >>> (8 * k - 32);
    return put(m, i, n);
  };
}
export const pinsrb = insert(1);
export const pinsrw = insert(2);
export const pinsrd = insert(4);
export const pinsrq = insert(8);

/** PEXTRx and EXTRACTPS: one lane to a general register, zero-extended, or to memory. */
function extract(size: number): Exec {
  return (m, i) => {
    const stop = usable(m, i, isMmx(i)) || fetch(m, i, i.k1, i.r1, isMmx(i) ? 8 : 16, 0);
    if (stop !== 0) return stop;
    const n = isMmx(i) ? 8 : 16;
    const at = ((i.imm & 0xff) % (n / size)) * size;
    let lo = 0;
    let hi = 0;
    for (let k = 0; k < size; k++) {
      if (k < 4) lo |= m.buf[at + k]! << (8 * k);
      else hi |= m.buf[at + k]! << (8 * k - 32);
    }
    if (i.k0 === K_MEM) return m.port.store(i.seg, m.ea(i), size, lo, hi);
    m.setReg(i.r0, size === 8 ? 8 : 4, lo, hi);
    return 0;
  };
}
export const pextrb = extract(1);
export const pextrw = extract(2);
export const pextrd = extract(4);
export const pextrq = extract(8);

/** INSERTPS: one lane from another register's or from memory, then zeros by the immediate's low bits. */
export function insertps(m: Processor, i: Insn): number {
  const three = isThree(i);
  const [kind, reg] = three ? [i.k2, i.r2] : [i.k1, i.r1];
  let stop = usable(m, i, false);
  if (stop !== 0) return stop;
  stop = fetch(m, i, kind, reg, kind === K_MEM ? 4 : 16, B / 4);
  if (stop !== 0) return stop;
  const value = m.words[B / 4 + (kind === K_MEM ? 0 : (i.imm >> 6) & 3)]!;
  fetch(m, i, K_VEC, three ? i.r1 : i.r0, 16, 0);
  m.words[(i.imm >> 4) & 3] = value;
  for (let k = 0; k < 4; k++) if ((i.imm >> k) & 1) m.words[k] = 0;
  return put(m, i, 16);
}

/** PTEST: ZF if no bit is common, CF if the second operand has none that the first has not. */
export function ptest(m: Processor, i: Insn): number {
  const stop = usable(m, i, false) || fetchSources(m, i, i.size, false);
  if (stop !== 0) return stop;
  let common = 0;
  let alone = 0;
  for (let k = 0; k < i.size / 4; k++) {
    common |= m.words[A / 4 + k]! & m.words[B / 4 + k]!;
    alone |= ~m.words[A / 4 + k]! & m.words[B / 4 + k]!;
  }
  m.cf = alone === 0 ? 1 : 0;
  m.fz = common;
  m.fs = 0;
  m.of = 0;
  m.fa = 0;
  m.fp = 1;
  m.fw = 0;
  return 0;
}

/** MOVDQ2Q and MOVQ2DQ: between an MMX and the low half of a vector register. */
export function moveQuad(m: Processor, i: Insn): number {
  const stop = usable(m, i, false) || fetch(m, i, i.k1, i.r1, 8, 0);
  if (stop !== 0) return stop;
  return put(m, i, 8);
}
