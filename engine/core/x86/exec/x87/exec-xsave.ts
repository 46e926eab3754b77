/** XSAVE and XRSTOR in the standard format: the FXSAVE image, a header, and the upper halves of the AVX registers. */
import type { Insn } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_GP, VECTOR_NM, VECTOR_UD } from '../../processor-port.ts';
import { CR0_TS, CR4_OSXSAVE, MODE_LONG64, RAX } from '../../regs.ts';
import { fromExtended, toExtended } from './extended.ts';
import { get, set, statusWord } from './x87-state.ts';

const X87 = 1;
const SSE = 2;
const AVX = 4;
/** Offsets in the image. */
const HEADER = 512;
const AVX_AT = 576;

/** May it run, and on what address? #UD, #NM or #GP if not. */
function ready(m: Processor, i: Insn): number {
  if ((m.regs.cr4 & CR4_OSXSAVE) === 0 || i.lock) return m.raise(VECTOR_UD, -1);
  if (m.regs.cr0 & CR0_TS) return m.raise(VECTOR_NM, -1);
  return m.ea(i) % 64 !== 0 ? m.raise(VECTOR_GP, 0) : 0;
}

const vectors = (m: Processor): number => (m.regs.mode === MODE_LONG64 ? 16 : 8);

/** XSAVE as QEMU's processor does it: field by field, then what is in the image into its header. */
export function xsave(m: Processor, i: Insn): number {
  const stop = ready(m, i);
  if (stop !== 0) return stop;
  const { regs } = m;
  const off = m.off;
  const wanted = m.gpr[2 * RAX]! & regs.xcr0;
  const put = (at: number, n: number, lo: number, hi: number): boolean => {
    m.stopped = m.port.store(i.seg, off + at, n, lo, hi);
    return m.stopped !== 0;
  };
  if (wanted & X87 && !saveX87(m, put)) return m.stopped;
  if (wanted & (SSE | AVX) && (put(24, 4, regs.mxcsr, 0) || put(28, 4, 0xffff, 0))) return m.stopped;
  for (let n = 0; n < vectors(m); n++) {
    const w = regs.ymm;
    if (wanted & SSE && saveHalf(put, 160 + 16 * n, w, 8 * n)) return m.stopped;
    if (wanted & AVX && saveHalf(put, AVX_AT + 16 * n, w, 8 * n + 4)) return m.stopped;
  }
  const refused = m.port.load(i.seg, off + HEADER, 8);
  if (refused !== 0) return refused;
  return m.port.store(i.seg, off + HEADER, 8, (m.lo & ~m.gpr[2 * RAX]!) | wanted, m.hi);
}

type Put = (at: number, n: number, lo: number, hi: number) => boolean;

function saveX87(m: Processor, put: Put): boolean {
  const { regs } = m;
  if (put(0, 2, regs.fpuControl, 0) || put(2, 2, statusWord(m), 0) || put(4, 2, regs.fpuTags, 0))
    return false;
  if (put(8, 8, 0, 0) || put(16, 8, 0, 0)) return false;
  for (let n = 0; n < 8; n++) {
    toExtended(m, get(m, n), 0);
    const [a, b, c] = [m.words[0]!, m.words[1]!, m.words[2]! & 0xffff];
    if (put(32 + 16 * n, 8, a, b) || put(40 + 16 * n, 2, c, 0)) return false;
  }
  return true;
}

function saveHalf(put: Put, at: number, words: Int32Array, from: number): boolean {
  return put(at, 8, words[from]!, words[from + 1]!) || put(at + 8, 8, words[from + 2]!, words[from + 3]!);
}

/** XRSTOR: what the header does not have is set to its first state. */
export function xrstor(m: Processor, i: Insn): number {
  const stop = ready(m, i);
  if (stop !== 0) return stop;
  const { regs } = m;
  const off = m.off;
  const wanted = m.gpr[2 * RAX]! & regs.xcr0;
  const refused = m.port.loadBytes(i.seg, off, AVX_AT + (regs.xcr0 & AVX ? 256 : 0));
  if (refused !== 0) return refused;
  const there = m.view.getInt32(HEADER, true);
  const headerRest = m.view.getInt32(HEADER + 4, true) | m.view.getInt32(HEADER + 8, true);
  if (there & ~regs.xcr0 || headerRest !== 0) return m.raise(VECTOR_GP, 0);
  const mxcsr = m.view.getInt32(24, true);
  if (wanted & (SSE | AVX) && mxcsr & ~0xffff) return m.raise(VECTOR_GP, 0);
  if (wanted & (SSE | AVX)) regs.mxcsr = mxcsr;
  for (let n = 0; n < vectors(m); n++) {
    for (let k = 0; k < 4; k++) {
      if (wanted & SSE) regs.ymm[8 * n + k] = there & SSE ? m.words[40 + 4 * n + k]! : 0;
      if (wanted & AVX) regs.ymm[8 * n + 4 + k] = there & AVX ? m.words[AVX_AT / 4 + 4 * n + k]! : 0;
    }
  }
  if (wanted & X87) restoreX87(m, (there & X87) !== 0);
  return 0;
}

function restoreX87(m: Processor, there: boolean): void {
  const { regs } = m;
  regs.fpuControl = there ? m.view.getUint16(0, true) | 0x40 : 0x37f;
  regs.fpuStatus = there ? m.view.getUint16(2, true) : 0;
  regs.fpuTop = (regs.fpuStatus >> 11) & 7;
  const tags = there ? m.buf[4]! : 0;
  const image = m.buf.slice(0, 160);
  for (let n = 0; n < 8; n++) {
    m.buf.set(image.subarray(32 + 16 * n, 42 + 16 * n));
    set(m, n, there ? fromExtended(m) : 0);
  }
  regs.fpuTags = tags;
}
