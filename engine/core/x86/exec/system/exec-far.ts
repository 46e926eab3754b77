/**
 * Far jumps and calls through descriptors and call gates. As QEMU's processor does them; KVM's emulator knows only
 * those of one level and no gates. Task switches are not modelled.
 */
import type { Insn } from '../../insn/insn.ts';
import type { Processor } from '../../processor.ts';
import { UNHANDLEABLE, UNSUPPORTED, VECTOR_GP, VECTOR_NP } from '../../processor-port.ts';
import {
  CS,
  EFER_LMA,
  MODE_REAL16,
  RSP,
  SEG_BIG,
  SEG_CODE,
  SEG_DOWN,
  SEG_LONG,
  SEG_PRESENT,
  SEG_S,
  SS,
} from '../../regs.ts';
import { high, InnerStack, number64 } from './inner-stack.ts';
import {
  attributesOf,
  checkOffset,
  dplOf,
  isNull,
  markAccessed,
  readDescriptor,
  setReal,
  setSegment,
} from './segments.ts';

/** Types of system descriptors. */
const TSS16 = 1;
const GATE_CALL16 = 4;
const GATE_TASK = 5;
const GATE_CALL32 = 12;

/** What a code segment has to be for a jump or call to it at level `cpl`: 0, or the exception raised. */
function checkCode(m: Processor, selector: number, rpl: number): number {
  const code = selector & 0xfffc;
  const attr = attributesOf(m.descHi);
  const { cpl } = m.regs;
  if ((attr & (SEG_S | SEG_CODE)) !== (SEG_S | SEG_CODE)) return m.raise(VECTOR_GP, code);
  const dpl = dplOf(attr);
  const allowed = attr & SEG_DOWN ? dpl <= cpl : rpl <= cpl && dpl === cpl;
  if (!allowed) return m.raise(VECTOR_GP, code);
  if (m.regs.efer & EFER_LMA && (attr & (SEG_LONG | SEG_BIG)) === (SEG_LONG | SEG_BIG))
    return m.raise(VECTOR_GP, code);
  return attr & SEG_PRESENT ? 0 : m.raise(VECTOR_NP, code);
}

/** Loads CS from the descriptor read last, at `cpl`, and goes on at `offset`. */
function enter(m: Processor, selector: number, cpl: number, offset: number): void {
  setSegment(m, CS, (selector & 0xfffc) | cpl);
  m.regs.setCpl(cpl);
  m.nextRip = m.maskRip(offset, 4);
}

/** JMP ptr16:off. */
export function farJump(m: Processor, i: Insn, offset: number, selector: number): number {
  if (m.regs.mode === MODE_REAL16) {
    setReal(m, CS, selector);
    m.nextRip = m.maskRip(offset, i.opSize);
    return 0;
  }
  if (isNull(selector)) return m.raise(VECTOR_GP, 0);
  let stop = readDescriptor(m, selector);
  if (stop !== 0) return stop;
  if ((attributesOf(m.descHi) & SEG_S) === 0) return throughGate(m, selector, false);
  stop = checkCode(m, selector, selector & 3) || checkOffset(m, offset) || markAccessed(m);
  if (stop === 0) enter(m, selector, m.regs.cpl, i.opSize === 2 ? offset & 0xffff : offset);
  return stop;
}

/** CALL ptr16:off: pushes CS and the next address. */
export function farCall(m: Processor, i: Insn, offset: number, selector: number): number {
  const size = i.opSize;
  if (m.regs.mode !== MODE_REAL16) {
    if (isNull(selector)) return m.raise(VECTOR_GP, 0);
    const stop = readDescriptor(m, selector);
    if (stop !== 0) return stop;
    if ((attributesOf(m.descHi) & SEG_S) === 0) return throughGate(m, selector, true);
    const wrong = checkCode(m, selector, selector & 3) || checkOffset(m, offset);
    if (wrong !== 0) return wrong;
  }
  const stop = pushReturn(m, size);
  if (stop !== 0) return stop;
  if (m.regs.mode === MODE_REAL16) setReal(m, CS, selector);
  else {
    const refused = markAccessed(m);
    if (refused !== 0) return refused;
    enter(m, selector, m.regs.cpl, offset);
  }
  m.setAddress(RSP, m.regs.stackSize, m.stackAt(-2 * size));
  m.nextRip = m.maskRip(offset, size);
  return 0;
}

/** CS and the next address below the stack pointer, which stays. */
function pushReturn(m: Processor, size: number): number {
  const back = m.nextRip;
  const stop = m.port.store(SS, m.stackAt(-size), size, m.regs.segSel[CS]! & 0xffff, 0);
  return stop !== 0 ? stop : m.port.store(SS, m.stackAt(-2 * size), size, back | 0, high(back));
}

/** A call gate: the target comes from it, and for an inner level the stack from the task's state. */
function throughGate(m: Processor, selector: number, isCall: boolean): number {
  // __load_segment_descriptor(), X86_TRANSFER_CALL_JMP: system descriptors are beyond the emulator.
  if (m.port.emulator) return UNHANDLEABLE;
  const { regs } = m;
  const [lo, hi] = [m.descLo, m.descHi];
  const type = (hi >> 8) & 15;
  const code = selector & 0xfffc;
  const long = (regs.efer & EFER_LMA) !== 0;
  if (!long && (type === GATE_TASK || (type & 7) === TSS16)) return UNSUPPORTED;
  if (type !== GATE_CALL32 && (long || type !== GATE_CALL16)) return m.raise(VECTOR_GP, code);
  const dpl = (hi >> 13) & 3;
  if (dpl < regs.cpl || dpl < (selector & 3)) return m.raise(VECTOR_GP, code);
  if ((hi & 0x8000) === 0) return m.raise(VECTOR_NP, code);
  let offset = ((hi & 0xffff0000) | (lo & 0xffff)) >>> 0;
  if (type === GATE_CALL16) offset &= 0xffff;
  if (long) {
    const stop = m.port.loadLinear(m.descAt + 8, 8);
    if (stop !== 0) return stop;
    if (m.hi & 0x1f00) return m.raise(VECTOR_GP, code);
    offset = number64(offset, m.lo);
  }
  return gateTarget(m, lo >>> 16, offset, {
    isCall,
    size: long ? 8 : type === GATE_CALL32 ? 4 : 2,
    words: hi & 31,
  });
}

interface Gate {
  readonly isCall: boolean;
  readonly size: number;
  /** Parameters to copy to the inner stack. */
  readonly words: number;
}

function gateTarget(m: Processor, target: number, offset: number, gate: Gate): number {
  const { regs } = m;
  if (isNull(target)) return m.raise(VECTOR_GP, 0);
  const stop = readDescriptor(m, target);
  if (stop !== 0) return stop;
  const code = target & 0xfffc;
  const attr = attributesOf(m.descHi);
  const dpl = dplOf(attr);
  if ((attr & (SEG_S | SEG_CODE)) !== (SEG_S | SEG_CODE) || dpl > regs.cpl) return m.raise(VECTOR_GP, code);
  if (!gate.isCall && (attr & SEG_DOWN) === 0 && dpl !== regs.cpl) return m.raise(VECTOR_GP, code);
  if (gate.size === 8 && (attr & (SEG_LONG | SEG_BIG)) !== SEG_LONG) return m.raise(VECTOR_GP, code);
  if ((attr & SEG_PRESENT) === 0) return m.raise(VECTOR_NP, code);
  if (gate.isCall && (attr & SEG_DOWN) === 0 && dpl < regs.cpl)
    return callInner(m, target, dpl, offset, gate);
  if (gate.isCall) {
    const refused = pushReturn(m, gate.size);
    if (refused !== 0) return refused;
    m.setAddress(RSP, regs.stackSize, m.stackAt(-2 * gate.size));
  }
  const refused = markAccessed(m);
  if (refused === 0) enter(m, target, regs.cpl, offset);
  return refused;
}

/** A call to an inner level: its stack, SS:RSP of the caller, parameters, CS:RIP. */
function callInner(m: Processor, target: number, dpl: number, offset: number, gate: Gate): number {
  const { regs } = m;
  const [codeLo, codeHi, codeAt] = [m.descLo, m.descHi, m.descAt];
  const stack = new InnerStack();
  let stop = stack.find(m, dpl, 0);
  if (stop !== 0) return stop;
  const { size } = gate;
  const old = m.regAddress(RSP, 8);
  const from = m.stackAt(0);
  stop = stack.push(m, size, regs.segSel[SS]!) || stack.push(m, size, old);
  for (let k = gate.words - 1; k >= 0 && stop === 0 && size !== 8; k--) {
    stop = m.port.load(SS, from + k * size, size);
    if (stop === 0) stop = stack.push(m, size, m.lo);
  }
  stop ||= stack.push(m, size, regs.segSel[CS]!) || stack.push(m, size, m.nextRip);
  if (stop !== 0) return stop;
  stack.use(m);
  [m.descLo, m.descHi, m.descAt] = [codeLo, codeHi, codeAt];
  enter(m, target, dpl, offset);
  return 0;
}
