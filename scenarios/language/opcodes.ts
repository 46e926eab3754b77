/** Which encoding the assembler takes for what it is asked for. */
import { Code } from 'iced-x86';
import type { Reg } from './registers.ts';

/** Arithmetic that reads memory, computes, and writes it back. */
export type RmwOp = 'add' | 'or' | 'and' | 'xor' | 'sub';
/** When a jump is taken. */
export type Condition = 'z' | 'nz' | 'c' | 'nc';

/** `op [m], r` of a byte, and of four. */
export const RMW_BYTE: Readonly<Record<RmwOp, Code>> = {
  add: Code.Add_rm8_r8,
  or: Code.Or_rm8_r8,
  and: Code.And_rm8_r8,
  xor: Code.Xor_rm8_r8,
  sub: Code.Sub_rm8_r8,
};
export const RMW_DWORD: Readonly<Record<RmwOp, Code>> = {
  add: Code.Add_rm32_r32,
  or: Code.Or_rm32_r32,
  and: Code.And_rm32_r32,
  xor: Code.Xor_rm32_r32,
  sub: Code.Sub_rm32_r32,
};
/** Moves by the register's width: from memory, to memory, of a constant. */
export const LOAD: Readonly<Record<number, Code>> = {
  8: Code.Mov_r8_rm8,
  16: Code.Mov_r16_rm16,
  32: Code.Mov_r32_rm32,
  64: Code.Mov_r64_rm64,
  128: Code.Movups_xmm_xmmm128,
};
export const STORE: Readonly<Record<number, Code>> = {
  8: Code.Mov_rm8_r8,
  16: Code.Mov_rm16_r16,
  32: Code.Mov_rm32_r32,
  64: Code.Mov_rm64_r64,
  128: Code.Movups_xmmm128_xmm,
};
export const IMM: Readonly<Record<number, Code>> = {
  8: Code.Mov_r8_imm8,
  16: Code.Mov_r16_imm16,
  32: Code.Mov_r32_imm32,
  64: Code.Mov_rm64_imm32,
};
/** Conditional jumps in 32-bit and in 64-bit mode. */
export const JUMP: Readonly<Record<Condition, Code>> = {
  z: Code.Je_rel32_32,
  nz: Code.Jne_rel32_32,
  c: Code.Jb_rel32_32,
  nc: Code.Jae_rel32_32,
};
export const JUMP_64: Readonly<Record<Condition, Code>> = {
  z: Code.Je_rel32_64,
  nz: Code.Jne_rel32_64,
  c: Code.Jb_rel32_64,
  nc: Code.Jae_rel32_64,
};

/** The encoding for a register of this width. */
export function pick(codes: Readonly<Record<number, Code>>, r: Reg): Code {
  const code = codes[r.bits];
  if (code === undefined) throw new Error(`guest: no such move for a register of ${r.bits} bits`);
  return code;
}
