/** Flags by name, ports, descriptor-table stores, and what little of the system instructions guests here use. */
import { type Insn, K_IMM } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNSUPPORTED, VECTOR_GP, VECTOR_UD } from '../../processor-port.ts';
import {
  AC,
  AF,
  CF,
  CR4_OSXSAVE,
  CR4_TSD,
  DF,
  IF,
  MODE_LONG64,
  PF,
  RAX,
  RBX,
  RCX,
  RDX,
  SF,
  TR,
  ZF,
} from '../../regs.ts';
import { ioLevel } from './exec-interrupt.ts';
import { privileged } from './exec-registers.ts';

export function nop(): number {
  return 0;
}

/** #UD: what the processor does not have. */
export function undefinedOpcode(m: Processor): number {
  return m.raise(VECTOR_UD, -1);
}

/** What the processor has and no handler is there for: neither a guest's mistake nor a kernel's. */
export function unknownToUs(): number {
  return UNSUPPORTED;
}

export function clc(m: Processor): number {
  m.cf = 0;
  m.fw = 0;
  return 0;
}

export function stc(m: Processor): number {
  m.cf = 1;
  m.fw = 0;
  return 0;
}

export function cmc(m: Processor): number {
  m.cf ^= 1;
  m.fw = 0;
  return 0;
}

export function cld(m: Processor): number {
  m.otherFlags &= ~DF;
  return 0;
}

export function std(m: Processor): number {
  m.otherFlags |= DF;
  return 0;
}

export function cli(m: Processor): number {
  if (m.regs.cpl > ioLevel(m)) return m.raise(VECTOR_GP, 0);
  m.otherFlags &= ~IF;
  return 0;
}

export function sti(m: Processor): number {
  if (m.regs.cpl > ioLevel(m)) return m.raise(VECTOR_GP, 0);
  m.otherFlags |= IF;
  return 0;
}

const LAHF_FLAGS = CF | PF | AF | ZF | SF;

export function lahf(m: Processor): number {
  m.setReg(16, 1, (m.getFlags() & LAHF_FLAGS) | 2, 0);
  return 0;
}

export function sahf(m: Processor): number {
  m.getReg(16, 1);
  m.setFlags((m.getFlags() & ~LAHF_FLAGS) | (m.lo & LAHF_FLAGS));
  return 0;
}

export function hlt(m: Processor): number {
  const stop = privileged(m);
  return stop !== 0 ? stop : m.port.halt();
}

function portNumber(m: Processor, i: Insn, kind: number): number {
  return kind === K_IMM ? i.imm & 0xff : m.gpr[2 * RDX]! & 0xffff;
}

/** Where IOPL does not allow it, the bitmap of the task-state segment may: 0 or #GP. */
export function mayUsePort(m: Processor, port: number, size: number): number {
  const { regs } = m;
  if (regs.cpl <= ioLevel(m)) return 0;
  const [base, limit] = [regs.segBase[TR]!, regs.segLimit[TR]!];
  // A 16-bit task has no bitmap.
  if ((regs.segAttr[TR]! & 8) === 0 || limit < 103) return m.raise(VECTOR_GP, 0);
  let stop = m.port.loadLinear(base + 102, 2);
  if (stop !== 0) return stop;
  const at = m.lo + (port >> 3);
  if (at + 1 > limit) return m.raise(VECTOR_GP, 0);
  stop = m.port.loadLinear(base + at, 2);
  if (stop !== 0) return stop;
  return (m.lo >> (port & 7)) & ((1 << size) - 1) ? m.raise(VECTOR_GP, 0) : 0;
}

export function inPort(m: Processor, i: Insn): number {
  const port = portNumber(m, i, i.k1);
  let stop = mayUsePort(m, port, i.size);
  if (stop !== 0) return stop;
  stop = m.port.portIn(port, i.size);
  if (stop === 0) m.setReg(RAX, i.size, m.lo, 0);
  return stop;
}

export function outPort(m: Processor, i: Insn): number {
  const port = portNumber(m, i, i.k0);
  const stop = mayUsePort(m, port, i.size1);
  if (stop !== 0) return stop;
  m.getReg(RAX, i.size1);
  return m.port.portOut(port, i.size1, m.lo);
}

/**
 * A processor without a name: leaf 1 and its extended twin have what guests here may use. Leaf 7 has nothing, so that
 * no guest looks for what only some processors have.
 */
export function cpuid(m: Processor): number {
  const [a, b, c, d] = cpuidLeaf(m, m.gpr[2 * RAX]! >>> 0, m.gpr[2 * RCX]!);
  m.setReg(RAX, 4, a, 0);
  m.setReg(RBX, 4, b, 0);
  m.setReg(RCX, 4, c, 0);
  m.setReg(RDX, 4, d, 0);
  return 0;
}

type Leaf = readonly [number, number, number, number];
const NOTHING: Leaf = [0, 0, 0, 0];
/** FPU DE PSE TSC MSR PAE CX8 SEP MTRR PGE CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2. */
const FEATURES = 0x078bb97d;
/** Bytes of an XSAVE image: x87 and SSE with the header, and AVX behind it. */
const XSAVE_LEGACY = 576;
const XSAVE_AVX = 256;

function cpuidLeaf(m: Processor, leaf: number, sub: number): Leaf {
  const { regs } = m;
  switch (leaf) {
    case 0:
      return [0xd, 0x68747541, 0x444d4163, 0x69746e65];
    case 1: {
      // SSE3 SSSE3 CMPXCHG16B SSE4.1 SSE4.2 MOVBE POPCNT XSAVE OSXSAVE AVX.
      const osxsave = regs.cr4 & CR4_OSXSAVE ? 1 << 27 : 0;
      return [0x60fb1, 0, 0x14d82201 | osxsave, FEATURES];
    }
    case 0xd:
      if (sub === 0)
        return [7, regs.xcr0 & 4 ? XSAVE_LEGACY + XSAVE_AVX : XSAVE_LEGACY, XSAVE_LEGACY + XSAVE_AVX, 0];
      return sub === 2 ? [XSAVE_AVX, XSAVE_LEGACY, 0, 0] : NOTHING;
    case 0x80000000:
      return [0x80000008 | 0, 0x68747541, 0x444d4163, 0x69746e65];
    case 0x80000001:
      // LAHF ABM; the features AMD repeats, SYSCALL NX 1GB-pages RDTSCP LM.
      return [0x60fb1, 0, 0x21, (FEATURES & 0x0183f3ff) | 0x2c100800];
    case 0x80000008:
      return [0x3028, 0, 0, 0];
    default:
      return NOTHING;
  }
}

/** Time is the number of instructions retired: it never goes back, and runs repeat. */
export function rdtsc(m: Processor): number {
  if (m.regs.cr4 & CR4_TSD && m.regs.cpl !== 0) return m.raise(VECTOR_GP, 0);
  m.setReg(RAX, 4, m.retired | 0, 0);
  m.setReg(RDX, 4, Math.floor(m.retired / 4294967296) | 0, 0);
  return 0;
}

/** RDTSCP: the time, and IA32_TSC_AUX. */
export function rdtscp(m: Processor): number {
  const stop = rdtsc(m);
  if (stop !== 0) return stop;
  m.setReg(RCX, 4, Number(BigInt.asIntN(32, m.regs.msrs.get(0xc0000103) ?? 0n)), 0);
  return 0;
}

/** VMMCALL: KVM knows no call 0, and answers -KVM_ENOSYS; to a user, -KVM_EPERM. */
export function vmmcall(m: Processor): number {
  const answer = m.regs.cpl === 0 ? -1000 : -1;
  m.setReg(RAX, m.regs.mode === MODE_LONG64 ? 8 : 4, answer, -1);
  return 0;
}

/** MONITOR and MWAIT: KVM does nothing for them (kvm_emulate_monitor_mwait()). */
export function monitor(m: Processor): number {
  return m.regs.cpl === 0 ? 0 : m.raise(VECTOR_UD, -1);
}

/** RDPMC: the recorded processor has no counters to give (kvm_emulate_rdpmc()). */
export function rdpmc(m: Processor): number {
  return m.raise(VECTOR_GP, 0);
}

/** CLAC and STAC: a flag that only SMAP looks at, which is not there to be turned on. */
export function clac(m: Processor): number {
  if (m.regs.cpl !== 0) return m.raise(VECTOR_UD, -1);
  m.otherFlags &= ~AC;
  return 0;
}

export function stac(m: Processor): number {
  if (m.regs.cpl !== 0) return m.raise(VECTOR_UD, -1);
  m.otherFlags |= AC;
  return 0;
}
