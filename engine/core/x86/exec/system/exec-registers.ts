/**
 * Control and debug registers, XCR0, and what else only a supervisor touches. A real KVM intercepts the writes and does
 * them itself: the checks are those of kvm_set_cr0(), kvm_set_cr4() and their like in Linux 6.1.
 */
import { type Insn, K_CR, K_MEM, K_REG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNSUPPORTED, VECTOR_GP, VECTOR_UD } from '../../processor-port.ts';
import {
  CR0_ET,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR4_DE,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PSE,
  EFER_LMA,
  EFER_LME,
  MODE_LONG64,
  RAX,
  RCX,
  RDX,
} from '../../regs.ts';

const CR0_NW = 1 << 29;
const CR0_CD = 1 << 30;
/** PE MP EM TS ET NE, WP, AM, NW CD PG: all others are dropped. */
const CR0_BITS = 0xe005003f | 0;
const CR4_PGE = 1 << 7;
/** VME to OSXMMEXCPT, and OSXSAVE: what CPUID here speaks of. */
const CR4_BITS = 0x7ff | CR4_OSXSAVE;
/** Bits of CR4 that cached translations depend on. */
const CR4_PAGING = CR4_PSE | CR4_PAE | CR4_PGE;
const XCR0_X87 = 1;
const XCR0_SSE = 2;
const XCR0_AVX = 4;

const fault = (m: Processor): number => m.raise(VECTOR_GP, 0);

/** #GP(0) unless the guest is at level 0. */
export function privileged(m: Processor): number {
  return m.regs.cpl === 0 ? 0 : fault(m);
}

/** MOV from and to CRn and DRn. */
export function moveControl(m: Processor, i: Insn): number {
  const stop = privileged(m);
  if (stop !== 0) return stop;
  const size = m.regs.mode === MODE_LONG64 ? 8 : 4;
  if (i.k1 === K_REG) {
    m.getReg(i.r1, size);
    return i.k0 === K_CR ? writeControl(m, i.r0, m.lo, m.hi) : writeDebug(m, i.r0, m.lo, m.hi);
  }
  return i.k1 === K_CR ? readControl(m, i, size) : readDebug(m, i, size);
}

function readControl(m: Processor, i: Insn, size: number): number {
  const { regs } = m;
  if (i.r1 === 2 || i.r1 === 3) {
    const v = i.r1 === 2 ? regs.cr2 : regs.cr3;
    m.setReg(i.r0, size, v | 0, Math.floor(v / 4294967296));
    return 0;
  }
  if (i.r1 !== 0 && i.r1 !== 4 && i.r1 !== 8) return m.raise(VECTOR_UD, -1);
  m.setReg(i.r0, size, i.r1 === 0 ? regs.cr0 : i.r1 === 4 ? regs.cr4 : regs.cr8, 0);
  return 0;
}

function writeControl(m: Processor, register: number, lo: number, hi: number): number {
  const { regs } = m;
  switch (register) {
    case 0:
      return hi !== 0 ? fault(m) : writeCr0(m, lo);
    case 2:
      regs.cr2 = hi * 4294967296 + (lo >>> 0);
      return 0;
    case 3:
      // Addresses have 40 bits; without long mode only 32 are taken.
      if (regs.efer & EFER_LMA && (hi & ~0xff) !== 0) return fault(m);
      regs.cr3 = (regs.efer & EFER_LMA ? hi : 0) * 4294967296 + (lo >>> 0);
      translationChanged(m);
      return 0;
    case 4:
      return hi !== 0 ? fault(m) : writeCr4(m, lo);
    case 8:
      if (hi !== 0 || (lo & ~15) !== 0) return fault(m);
      regs.cr8 = lo;
      return 0;
    default:
      return m.raise(VECTOR_UD, -1);
  }
}

function translationChanged(m: Processor): void {
  m.regs.onPagingChange();
  m.regs.update();
}

/** kvm_set_cr0(). */
function writeCr0(m: Processor, value: number): number {
  const { regs } = m;
  const next = (value | CR0_ET) & CR0_BITS;
  const paging = (next & CR0_PG) !== 0;
  if (next & CR0_NW && (next & CR0_CD) === 0) return fault(m);
  if (paging && (next & CR0_PE) === 0) return fault(m);
  if (paging && (regs.cr0 & CR0_PG) === 0 && regs.efer & EFER_LME) {
    if ((regs.cr4 & CR4_PAE) === 0) return fault(m);
    regs.efer |= EFER_LMA;
  }
  if (!paging && regs.cr0 & CR0_PG) {
    if (regs.mode === MODE_LONG64) return fault(m);
    regs.efer &= ~EFER_LMA;
  }
  regs.cr0 = next;
  translationChanged(m);
  return 0;
}

/** kvm_set_cr4(). */
function writeCr4(m: Processor, value: number): number {
  const { regs } = m;
  if (value & ~CR4_BITS) return fault(m);
  if (regs.efer & EFER_LMA && (value & CR4_PAE) === 0) return fault(m);
  const changed = (value ^ regs.cr4) & CR4_PAGING;
  regs.cr4 = value;
  if (changed) translationChanged(m);
  return 0;
}

function readDebug(m: Processor, i: Insn, size: number): number {
  const n = debugRegister(m, i.r1);
  if (n < 0) return m.raise(VECTOR_UD, -1);
  const v = m.regs.dr[n]!;
  m.setReg(i.r0, size, v | 0, Math.floor(v / 4294967296));
  return 0;
}

/** DR4 and DR5 are DR6 and DR7 under other names, unless CR4.DE says that they are not there. */
function debugRegister(m: Processor, n: number): number {
  if (n !== 4 && n !== 5) return n < 8 ? n : -1;
  return m.regs.cr4 & CR4_DE ? -1 : n + 2;
}

function writeDebug(m: Processor, register: number, lo: number, hi: number): number {
  const n = debugRegister(m, register);
  if (n < 0) return m.raise(VECTOR_UD, -1);
  if (n >= 6 && hi !== 0) return fault(m);
  // Breakpoints that are armed would have to be looked for at every access.
  if (n === 7 && (lo & 0xff) !== 0) return UNSUPPORTED;
  if (n === 6) m.regs.dr[6] = ((lo & 0xe00f) | 0xffff0ff0) >>> 0;
  else if (n === 7) m.regs.dr[7] = ((lo & 0xffff2bff) | 0x400) >>> 0;
  else m.regs.dr[n] = hi * 4294967296 + (lo >>> 0);
  return 0;
}

export function clts(m: Processor): number {
  const stop = privileged(m);
  if (stop === 0) m.regs.cr0 &= ~CR0_TS;
  return stop;
}

/** SMSW: the low word of CR0. */
export function smsw(m: Processor, i: Insn): number {
  if (i.k0 !== K_REG) return m.port.store(i.seg, m.ea(i), 2, m.regs.cr0 & 0xffff, 0);
  m.setReg(i.r0, i.size, m.regs.cr0, 0);
  return 0;
}

/** LMSW: PE MP EM TS, and PE cannot be cleared. */
export function lmsw(m: Processor, i: Insn): number {
  const stop = privileged(m) || m.read(i, i.k0, i.r0, 2);
  if (stop !== 0) return stop;
  return writeCr0(m, (m.regs.cr0 & ~0xe) | (m.lo & 15));
}

/** INVLPG touches no memory. */
export function invlpg(m: Processor, i: Insn): number {
  const stop = privileged(m);
  if (stop !== 0) return stop;
  if (i.k0 === K_MEM) m.ea(i);
  translationChanged(m);
  return 0;
}

/** WBINVD and INVD: caches are not modelled. */
export function wbinvd(m: Processor): number {
  return privileged(m);
}

/** XGETBV of XCR0. */
export function xgetbv(m: Processor): number {
  if ((m.regs.cr4 & CR4_OSXSAVE) === 0) return m.raise(VECTOR_UD, -1);
  if (m.gpr[2 * RCX] !== 0) return fault(m);
  m.setReg(RAX, 4, m.regs.xcr0, 0);
  m.setReg(RDX, 4, 0, 0);
  return 0;
}

/** XSETBV, __kvm_set_xcr(): x87 always, AVX only with SSE. */
export function xsetbv(m: Processor): number {
  const { regs, gpr } = m;
  if ((regs.cr4 & CR4_OSXSAVE) === 0) return m.raise(VECTOR_UD, -1);
  const value = gpr[2 * RAX]!;
  if (regs.cpl !== 0 || gpr[2 * RCX] !== 0 || gpr[2 * RDX] !== 0) return fault(m);
  if ((value & XCR0_X87) === 0 || value & ~(XCR0_X87 | XCR0_SSE | XCR0_AVX)) return fault(m);
  if (value & XCR0_AVX && (value & XCR0_SSE) === 0) return fault(m);
  regs.xcr0 = value;
  return 0;
}
