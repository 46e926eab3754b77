/**
 * The shapes that `Cpu.run` executes without calling a handler: the forms that loops are made of. The numbers
 * are repeated as literals in its switch, for V8 makes a jump table only of literals.
 */

import * as n from '../exec/integer/exec-integer.ts';
import { dec, inc } from '../exec/integer/exec-integer.ts';
import { jcc, jmp } from '../exec/system/exec-control.ts';
import { nop } from '../exec/system/exec-system.ts';
import { FS } from '../regs.ts';
import type { Executable } from './executable.ts';
import { type Insn, K_IMM, K_MEM, K_REG } from './insn.ts';

/** Not one of the shapes the hot loop does itself. */
const FAST_NONE = 0;
/** `mov r32, r32`, and `mov r32, imm`. */
const FAST_MOV_RR = 1;
/** See FAST_MOV_RR. */
const FAST_MOV_RI = 2;
/** Loads and stores: 32 bits, then 8. */
const FAST_MOV_RM = 3;
const FAST_MOV_MR = 4;
const FAST_MOV_RM8 = 5;
const FAST_MOV_MR8 = 6;
const FAST_INC = 7;
const FAST_DEC = 8;
const FAST_ADD_RR = 9;
const FAST_ADD_RI = 10;
const FAST_SUB_RR = 11;
const FAST_SUB_RI = 12;
const FAST_CMP_RR = 13;
const FAST_CMP_RI = 14;
const FAST_AND_RR = 15;
const FAST_AND_RI = 16;
const FAST_OR_RR = 17;
const FAST_OR_RI = 18;
const FAST_XOR_RR = 19;
const FAST_XOR_RI = 20;
const FAST_TEST_RR = 21;
const FAST_ADD_RM = 22;
const FAST_CMP_RM = 23;
const FAST_JCC = 24;
const FAST_JNZ = 25;
const FAST_JMP = 26;
const FAST_NOP = 27;
const FAST_MOV_MI = 28;
const FAST_MOV_MI8 = 29;

/** Register-register and register-immediate shapes of 32-bit arithmetic. */
const ARITHMETIC: ReadonlyMap<unknown, readonly [number, number]> = new Map([
  [n.add, [FAST_ADD_RR, FAST_ADD_RI]],
  [n.sub, [FAST_SUB_RR, FAST_SUB_RI]],
  [n.cmp, [FAST_CMP_RR, FAST_CMP_RI]],
  [n.and, [FAST_AND_RR, FAST_AND_RI]],
  [n.or, [FAST_OR_RR, FAST_OR_RI]],
  [n.xor, [FAST_XOR_RR, FAST_XOR_RI]],
] as const);

/** The shape of a decoded instruction, or FAST_NONE. */
export function fastShape(i: Executable): number {
  // FS and GS have bases even where everything else is flat.
  if (i.lock || i.seg >= FS) return FAST_NONE;
  if (i.exec === nop) return FAST_NOP;
  if (i.exec === jcc) return i.cond === 5 ? FAST_JNZ : FAST_JCC;
  if (i.exec === jmp && i.k0 === K_IMM && i.imm2 < 0) return FAST_JMP;
  if (i.exec === n.mov) return moveShape(i);
  if (i.size !== 4 || i.k0 !== K_REG) return FAST_NONE;
  if (i.exec === inc) return FAST_INC;
  if (i.exec === dec) return FAST_DEC;
  if (i.exec === n.test && i.k1 === K_REG) return FAST_TEST_RR;
  if (i.k1 === K_MEM) {
    if (i.exec === n.add) return FAST_ADD_RM;
    return i.exec === n.cmp ? FAST_CMP_RM : FAST_NONE;
  }
  const shapes = ARITHMETIC.get(i.exec);
  return shapes === undefined
    ? FAST_NONE
    : i.k1 === K_REG
      ? shapes[0]
      : i.k1 === K_IMM
        ? shapes[1]
        : FAST_NONE;
}

function moveShape(i: Insn): number {
  if (i.size === 1) {
    if (i.k0 === K_REG && i.k1 === K_MEM) return FAST_MOV_RM8;
    if (i.k0 === K_MEM) return i.k1 === K_REG ? FAST_MOV_MR8 : FAST_MOV_MI8;
    return FAST_NONE;
  }
  if (i.size !== 4) return FAST_NONE;
  if (i.k0 === K_REG)
    return i.k1 === K_REG
      ? FAST_MOV_RR
      : i.k1 === K_IMM
        ? FAST_MOV_RI
        : i.k1 === K_MEM
          ? FAST_MOV_RM
          : FAST_NONE;
  if (i.k0 !== K_MEM) return FAST_NONE;
  return i.k1 === K_REG ? FAST_MOV_MR : i.k1 === K_IMM ? FAST_MOV_MI : FAST_NONE;
}
