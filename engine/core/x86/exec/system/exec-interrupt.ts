/**
 * Interrupts and exceptions on their way to the guest's handler: the vector table of real mode, interrupt and trap
 * gates of protected and of long mode, and IRET. As QEMU's processor does it; KVM's emulator knows real mode only.
 */
import type { Insn } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import {
  UNHANDLEABLE,
  UNSUPPORTED,
  VECTOR_BP,
  VECTOR_GP,
  VECTOR_NP,
  VECTOR_OF,
} from '../../processor-port.ts';
import {
  CS,
  EFER_LMA,
  IF,
  IOPL_SHIFT,
  isCanonical,
  linearOf,
  MODE_REAL16,
  NT,
  RF,
  RSP,
  SEG_BIG,
  SEG_CODE,
  SEG_DOWN,
  SEG_LONG,
  SEG_PRESENT,
  SEG_S,
  SS,
  TF,
  VM,
} from '../../regs.ts';
import { farReturn } from './far-return.ts';
import { high, InnerStack, number64 } from './inner-stack.ts';
import {
  attributesOf,
  dplOf,
  isNull,
  markAccessed,
  readDescriptor,
  setReal,
  setSegment,
} from './segments.ts';

/** What is to be delivered, and where the guest goes on afterwards. */
export interface Interrupt {
  readonly vector: number;
  /** INT n: the gate has to allow the guest's level. */
  readonly software: boolean;
  /** -1: pushes none. */
  readonly errorCode: number;
  readonly back: number;
}

const GATE_TASK = 5;

/** Enters the guest's handler: 0 with `nextRip` at it, or why not (an exception of the delivery is raised). */
export function deliverInterrupt(m: Processor, what: Interrupt): number {
  return m.regs.mode === MODE_REAL16 ? throughVector(m, what.vector, what.back) : throughGate(m, what);
}

/** Pushes FLAGS, CS and IP and goes through the vector table, `__emulate_int_real()`. */
function throughVector(m: Processor, vector: number, back: number): number {
  const { regs } = m;
  const push = (k: number, value: number): number => m.port.store(SS, m.stackAt(-2 * k), 2, value, 0);
  let stop = push(1, m.getFlags() & 0xffff);
  if (stop === 0) stop = push(2, regs.segSel[CS]! & 0xffff);
  if (stop === 0) stop = push(3, back & 0xffff);
  if (stop === 0) stop = m.port.loadLinear(regs.idtBase + vector * 4, 4);
  if (stop !== 0) return stop;
  const entry = m.lo;
  m.setAddress(RSP, regs.stackSize, m.stackAt(-6));
  m.otherFlags &= ~(IF | TF);
  setReal(m, CS, entry >>> 16);
  m.nextRip = entry & 0xffff;
  return 0;
}

interface Gate {
  readonly selector: number;
  readonly offset: number;
  /** Bytes a pushed value has. */
  readonly size: number;
  readonly trap: boolean;
  readonly ist: number;
}

function throughGate(m: Processor, what: Interrupt): number {
  const { regs } = m;
  const long = (regs.efer & EFER_LMA) !== 0;
  const bytes = long ? 16 : 8;
  const code = what.vector * 8 + 2;
  if (what.vector * bytes + bytes - 1 > regs.idtLimit) return m.raise(VECTOR_GP, code);
  const at = regs.idtBase + what.vector * bytes;
  const stop = m.port.loadLinear(linearOf(at), 8);
  if (stop !== 0) return stop;
  const [lo, hi] = [m.lo, m.hi];
  const type = (hi >>> 8) & 31;
  if (!long && type === GATE_TASK && hi & 0x8000) return UNSUPPORTED;
  const gate = (type & 6) === 6 && (long ? type === 14 || type === 15 : type < 16);
  if (!gate) return m.raise(VECTOR_GP, code);
  if (what.software && ((hi >>> 13) & 3) < regs.cpl) return m.raise(VECTOR_GP, code);
  if ((hi & 0x8000) === 0) return m.raise(VECTOR_NP, code);
  let offset = ((hi & 0xffff0000) | (lo & 0xffff)) >>> 0;
  if (type < 8) offset &= 0xffff;
  if (long) {
    const refused = m.port.loadLinear(linearOf(at + 8), 4);
    if (refused !== 0) return refused;
    offset = number64(offset, m.lo);
  }
  const size = long ? 8 : type >= 8 ? 4 : 2;
  return enterGate(m, what, {
    selector: lo >>> 16,
    offset,
    size,
    trap: (type & 1) !== 0,
    ist: long ? hi & 7 : 0,
  });
}

function enterGate(m: Processor, what: Interrupt, gate: Gate): number {
  const { regs } = m;
  const { selector } = gate;
  if (isNull(selector)) return m.raise(VECTOR_GP, 0);
  let stop = readDescriptor(m, selector);
  if (stop !== 0) return stop;
  const code = selector & 0xfffc;
  const attr = attributesOf(m.descHi);
  if ((attr & (SEG_S | SEG_CODE)) !== (SEG_S | SEG_CODE) || dplOf(attr) > regs.cpl)
    return m.raise(VECTOR_GP, code);
  if ((attr & SEG_PRESENT) === 0) return m.raise(VECTOR_NP, code);
  if (gate.size === 8 && (attr & (SEG_LONG | SEG_BIG)) !== SEG_LONG) return m.raise(VECTOR_GP, code);
  if (gate.size === 8 && !isCanonical(gate.offset)) return m.raise(VECTOR_GP, 0);
  const [codeLo, codeHi, codeAt] = [m.descLo, m.descHi, m.descAt];
  const cpl = attr & SEG_DOWN ? regs.cpl : dplOf(attr);
  stop = pushFrame(m, what, gate, cpl);
  if (stop !== 0) return stop;
  [m.descLo, m.descHi, m.descAt] = [codeLo, codeHi, codeAt];
  stop = markAccessed(m);
  if (stop !== 0) return stop;
  setSegment(m, CS, code | cpl);
  regs.setCpl(cpl);
  m.otherFlags &= ~(TF | VM | RF | NT | (gate.trap ? 0 : IF));
  m.nextRip = gate.offset;
  return 0;
}

/** SS:RSP where the stack changes (in long mode always), flags, CS:RIP, and the error code. */
function pushFrame(m: Processor, what: Interrupt, gate: Gate, cpl: number): number {
  const { regs } = m;
  const { size } = gate;
  const frame = [m.getFlags(), regs.segSel[CS]! & 0xffff, what.back];
  if (what.errorCode >= 0) frame.push(what.errorCode);
  const inner = cpl < regs.cpl || gate.ist > 0;
  if (inner || size === 8) frame.unshift(regs.segSel[SS]! & 0xffff, m.regAddress(RSP, 8));
  if (inner) {
    const stack = new InnerStack();
    let stop = stack.find(m, cpl, gate.ist);
    for (const value of frame) if (stop === 0) stop = stack.push(m, size, value);
    if (stop === 0) stack.use(m);
    return stop;
  }
  const width = regs.stackSize;
  const sp = m.regAddress(RSP, width);
  let at = size === 8 ? sp - (sp & 15) : sp;
  for (const value of frame) {
    at -= size;
    const off = width === 8 ? at : width === 4 ? at >>> 0 : at & 0xffff;
    const stop = m.port.store(SS, off, size, value | 0, high(value));
    if (stop !== 0) return stop;
  }
  m.setAddress(RSP, width, at);
  return 0;
}

export function int(m: Processor, i: Insn): number {
  return software(m, i.imm & 0xff);
}

export function int3(m: Processor): number {
  return software(m, VECTOR_BP);
}

export function into(m: Processor): number {
  return m.of < 0 ? software(m, VECTOR_OF) : 0;
}

/** KVM's emulator can only do it in real mode. */
function software(m: Processor, vector: number): number {
  if (m.regs.mode !== MODE_REAL16 && m.port.emulator) return UNHANDLEABLE;
  return deliverInterrupt(m, { vector, software: true, errorCode: -1, back: m.nextRip });
}

/** Flags that IRET may change in real mode. */
const IRET_MASK = 0x247fd5;

export function iret(m: Processor, i: Insn): number {
  const { regs } = m;
  const size = i.opSize;
  if (regs.mode !== MODE_REAL16) {
    if (m.port.emulator) return UNHANDLEABLE;
    if (m.otherFlags & NT) return regs.efer & EFER_LMA ? m.raise(VECTOR_GP, 0) : UNSUPPORTED;
    return farReturn(m, size, 0, true);
  }
  const values = [0, 0, 0];
  for (let k = 0; k < 3; k++) {
    const stop = m.port.load(SS, m.stackAt(k * size), size);
    if (stop !== 0) return stop;
    values[k] = m.lo;
  }
  m.setAddress(RSP, regs.stackSize, m.stackAt(3 * size));
  const mask = size === 2 ? IRET_MASK & 0xffff : IRET_MASK;
  m.setFlags((m.getFlags() & ~mask) | (values[2]! & mask));
  setReal(m, CS, values[1]! & 0xffff);
  m.nextRip = m.maskRip(values[0]!, size);
  return 0;
}

/** The level that may use ports, CLI and STI. */
export function ioLevel(m: Processor): number {
  return (m.otherFlags >> IOPL_SHIFT) & 3;
}
