/** Flags by name, ports, descriptor-table stores, and what little of the system instructions guests here use. */
import { type Insn, K_IMM, K_MEM, K_REG } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNSUPPORTED, VECTOR_GP, VECTOR_UD } from '../../processor-port.ts';
import { AF, CF, DF, IF, MODE_LONG64, PF, RAX, RBX, RCX, RDX, SF, ZF } from '../../regs.ts';

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
  m.otherFlags &= ~IF;
  return 0;
}

export function sti(m: Processor): number {
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
  return m.port.halt();
}

function portNumber(m: Processor, i: Insn, kind: number): number {
  return kind === K_IMM ? i.imm & 0xff : m.gpr[2 * RDX]! & 0xffff;
}

export function inPort(m: Processor, i: Insn): number {
  const stop = m.port.portIn(portNumber(m, i, i.k1), i.size);
  if (stop === 0) m.setReg(RAX, i.size, m.lo, 0);
  return stop;
}

export function outPort(m: Processor, i: Insn): number {
  m.getReg(RAX, i.size1);
  return m.port.portOut(portNumber(m, i, i.k0), i.size1, m.lo);
}

/** SGDT and SIDT: the tables are as after reset, base 0 and limit FFFF. */
export function storeTable(m: Processor, i: Insn): number {
  const size = m.regs.mode === MODE_LONG64 ? 8 : 4;
  m.buf.fill(0, 0, 10);
  m.buf[0] = 0xff;
  m.buf[1] = 0xff;
  return m.port.storeStd(i.seg, m.ea(i), 2 + size);
}

/** SLDT and STR: both selectors are 0. SMSW: the low word of CR0. */
function storeWord(m: Processor, i: Insn, value: number): number {
  if (i.k0 === K_REG) {
    m.setReg(i.r0, i.size, value, 0);
    return 0;
  }
  return m.port.store(i.seg, m.ea(i), 2, value & 0xffff, 0);
}

export function sldt(m: Processor, i: Insn): number {
  return storeWord(m, i, 0);
}

export function str(m: Processor, i: Insn): number {
  return storeWord(m, i, 0);
}

export function smsw(m: Processor, i: Insn): number {
  return storeWord(m, i, m.regs.cr0);
}

/** A processor without a name: leaf 1 has the features that guests here may use. */
export function cpuid(m: Processor): number {
  const leaf = m.gpr[2 * RAX]!;
  const values = leaf === 0 ? [7, 0x68747541, 0x444d4163, 0x69746e65] : [0, 0, 0, 0];
  if (leaf === 1) {
    values[0] = 0x60fb1;
    // SSE3 SSSE3 CMPXCHG16B SSE4.1 SSE4.2 MOVBE POPCNT XSAVE OSXSAVE AVX; FPU TSC CX8 CMOV CLFSH MMX FXSR SSE SSE2.
    values[2] = 0x1cd82201 | (m.regs.cr4 & (1 << 18) ? 1 << 27 : 0);
    values[3] = 0x07888111;
  }
  m.setReg(RAX, 4, values[0]!, 0);
  m.setReg(RBX, 4, values[1]!, 0);
  m.setReg(RCX, 4, values[2]!, 0);
  m.setReg(RDX, 4, values[3]!, 0);
  return 0;
}

/** Time is the number of instructions retired: it never goes back, and runs repeat. */
export function rdtsc(m: Processor): number {
  m.setReg(RAX, 4, m.retired | 0, 0);
  m.setReg(RDX, 4, Math.floor(m.retired / 4294967296) | 0, 0);
  return 0;
}

/** XGETBV: XCR0 has x87, SSE and AVX on. */
export function xgetbv(m: Processor): number {
  if (m.gpr[2 * RCX] !== 0) return m.raise(VECTOR_GP, 0);
  m.setReg(RAX, 4, 7, 0);
  m.setReg(RDX, 4, 0, 0);
  return 0;
}

/** INVLPG touches no memory; the bus looks translations up again anyway. */
export function invlpg(m: Processor, i: Insn): number {
  if (i.k0 === K_MEM) m.ea(i);
  return 0;
}
