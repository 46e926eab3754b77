/** FXSAVE and FXRSTOR: the 512-byte image, as the processor stores it and as KVM's emulator does. */

import type { Insn } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNHANDLEABLE, VECTOR_GP } from '../../processor-port.ts';
import { CR4_OSFXSR, MODE_LONG64 } from '../../regs.ts';
import { fromExtended, toExtended } from './extended.ts';
import { checked, get, set, statusWord } from './x87-state.ts';

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
  if (put(0, 2, regs.fpuControl, 0) || put(2, 2, statusWord(m), 0) || put(4, 2, regs.fpuTags, 0))
    return m.stopped;
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
function fxsaveEmulated(m: Processor, i: Insn, off: number): number {
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
