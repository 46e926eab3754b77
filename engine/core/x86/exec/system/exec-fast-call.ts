/** SYSCALL, SYSRET, SYSENTER and SYSEXIT: system calls whose target stands in model-specific registers. */
import type { Insn } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { VECTOR_GP, VECTOR_UD } from '../../processor-port.ts';
import {
  AC,
  CS,
  DF,
  EFER_LMA,
  EFER_SCE,
  ID,
  IF,
  IOPL_SHIFT,
  MODE_LONG64,
  MODE_REAL16,
  NT,
  RCX,
  RDX,
  RF,
  RSP,
  SEG_ACCESSED,
  SEG_BIG,
  SEG_CODE,
  SEG_DPL_SHIFT,
  SEG_GRANULAR,
  SEG_LONG,
  SEG_PRESENT,
  SEG_RW,
  SEG_S,
  SS,
  STATUS_FLAGS,
  TF,
  VM,
} from '../../regs.ts';
import { high } from './inner-stack.ts';

const MSR_STAR = 0xc0000081;
const MSR_LSTAR = 0xc0000082;
const MSR_CSTAR = 0xc0000083;
const MSR_SFMASK = 0xc0000084;

const msr = (m: Processor, n: number): bigint => m.regs.msrs.get(n) ?? 0n;
const low = (v: bigint): number => Number(BigInt.asIntN(32, v));

/** A flat segment with a selector of its own, as SYSCALL and SYSENTER make them. */
function setFlat(m: Processor, seg: number, selector: number, attr: number, cpl: number): void {
  const { regs } = m;
  const data = SEG_PRESENT | SEG_S | SEG_RW | SEG_ACCESSED | SEG_GRANULAR;
  regs.segSel[seg] = (selector & 0xfffc) | cpl;
  regs.segBase[seg] = 0;
  regs.segLimit[seg] = 0xffffffff;
  regs.segAttr[seg] = data | attr | (cpl << SEG_DPL_SHIFT);
  regs.update();
}

/** SYSCALL. */
export function syscall(m: Processor): number {
  const { regs } = m;
  if ((regs.efer & EFER_SCE) === 0) return m.raise(VECTOR_UD, -1);
  const selector = (low(msr(m, MSR_STAR) >> 32n) & 0xffff) >>> 0;
  const flags = m.getFlags();
  const long = (regs.efer & EFER_LMA) !== 0;
  const was64 = regs.mode === MODE_LONG64;
  m.setReg(RCX, long ? 8 : 4, m.nextRip | 0, high(m.nextRip));
  if (long) m.setReg(11, 8, flags & ~RF, 0);
  const mask = long ? low(msr(m, MSR_SFMASK)) : IF | RF | VM;
  m.setFlags(flags & ~mask & ~RF);
  setFlat(m, CS, selector, SEG_CODE | (long ? SEG_LONG : SEG_BIG), 0);
  setFlat(m, SS, selector + 8, SEG_BIG, 0);
  regs.setCpl(0);
  m.nextRip = long
    ? Number(BigInt.asIntN(64, msr(m, was64 ? MSR_LSTAR : MSR_CSTAR)))
    : low(msr(m, MSR_STAR)) >>> 0;
  return 0;
}

/** SYSRET. */
export function sysret(m: Processor, i: Insn): number {
  const { regs } = m;
  if ((regs.efer & EFER_SCE) === 0) return m.raise(VECTOR_UD, -1);
  if (regs.cpl !== 0 || regs.mode === MODE_REAL16) return m.raise(VECTOR_GP, 0);
  const selector = (low(msr(m, MSR_STAR) >> 48n) & 0xffff) >>> 0;
  const long = (regs.efer & EFER_LMA) !== 0;
  const to64 = long && i.rexW;
  const to = m.regAddress(RCX, to64 ? 8 : 4);
  m.getReg(11, 4);
  if (long) m.setFlags(m.lo & (STATUS_FLAGS | DF | TF | AC | ID | IF | (3 << IOPL_SHIFT) | NT));
  else m.otherFlags |= IF;
  setFlat(m, CS, selector + (to64 ? 16 : 0), SEG_CODE | (to64 ? SEG_LONG : SEG_BIG), 3);
  setFlat(m, SS, selector + 8, SEG_BIG, 3);
  regs.setCpl(3);
  m.nextRip = to;
  return 0;
}

const MSR_SYSENTER_CS = 0x174;
const MSR_SYSENTER_ESP = 0x175;
const MSR_SYSENTER_EIP = 0x176;

/** SYSENTER: AMD has none in long mode. */
export function sysenter(m: Processor): number {
  const { regs } = m;
  if (regs.efer & EFER_LMA) return m.raise(VECTOR_UD, -1);
  const selector = low(msr(m, MSR_SYSENTER_CS)) & 0xfffc;
  if (selector === 0 || regs.mode === MODE_REAL16) return m.raise(VECTOR_GP, 0);
  m.otherFlags &= ~(IF | RF | VM);
  setFlat(m, CS, selector, SEG_CODE | SEG_BIG, 0);
  setFlat(m, SS, selector + 8, SEG_BIG, 0);
  regs.setCpl(0);
  m.setReg(RSP, 4, low(msr(m, MSR_SYSENTER_ESP)), 0);
  m.nextRip = low(msr(m, MSR_SYSENTER_EIP)) >>> 0;
  return 0;
}

/** SYSEXIT. */
export function sysexit(m: Processor): number {
  const { regs } = m;
  if (regs.efer & EFER_LMA) return m.raise(VECTOR_UD, -1);
  const selector = low(msr(m, MSR_SYSENTER_CS)) & 0xfffc;
  if (selector === 0 || regs.cpl !== 0 || regs.mode === MODE_REAL16) return m.raise(VECTOR_GP, 0);
  setFlat(m, CS, selector + 16, SEG_CODE | SEG_BIG, 3);
  setFlat(m, SS, selector + 24, SEG_BIG, 3);
  regs.setCpl(3);
  m.getReg(RCX, 4);
  m.setReg(RSP, 4, m.lo, 0);
  m.nextRip = m.regAddress(RDX, 4);
  return 0;
}
