/**
 * A decoded instruction: one monomorphic record of small integers, made once and kept. `decode.ts` fills it;
 * the guest CPU and KVM's emulator both execute from it.
 */

/** Operand kinds. */
export const K_NONE = 0;
/** General register; 8-bit operands number `ah ch dh bh` 16 to 19. */
export const K_REG = 1;
export const K_IMM = 2;
export const K_MEM = 3;
export const K_SEG = 4;
/** xmm or ymm. */
export const K_VEC = 5;
export const K_MMX = 6;
/** x87 stack register. */
export const K_ST = 7;
export const K_CR = 8;
export const K_DR = 9;

/** Opcode maps, as in KVM's tables: no escape, 0F, 0F 38, 0F 3A. */
export const MAP_ONE = 0;
export const MAP_0F = 1;
export const MAP_0F38 = 2;
export const MAP_0F3A = 3;

/** `Insn.rep`: F3 as `rep`/`repe`, F2 as `repne`. */
export const REP_NONE = 0;
export const REP_F3 = 1;
export const REP_F2 = 2;

/** Base register number that stands for the address of the next instruction. */
export const BASE_RIP = 32;

/** Everything execution needs to know about one instruction. Sizes are bytes. */
export class Insn {
  /** Its shape in the hot switch of `Cpu.run`; 0 is "call exec". */
  fast = 0;
  /** Length, 1 to 15. */
  len = 0;
  /** The bytes are no instruction. */
  invalid = false;
  /** It is invalid only because the bytes end before it does. */
  truncated = false;
  /** The instruction lies on two pages: it is never cached. */
  straddles = false;

  /** Operands in Intel order: kind and register number. */
  k0 = K_NONE;
  r0 = 0;
  k1 = K_NONE;
  r1 = 0;
  k2 = K_NONE;
  r2 = 0;
  k3 = K_NONE;
  r3 = 0;
  /** Size of operand 0, and of operand 1 (they differ in `movzx`, `movd` and others). */
  size = 0;
  size1 = 0;
  /** Operand size by prefixes and mode (2, 4, 8), or 1 for byte forms of string instructions. */
  opSize = 0;
  /** Size of the memory operand; 0 if it has none, or none that has a size. */
  memSize = 0;

  /** Memory operand: segment register, base and index (-1: none), shift of the index, displacement. */
  seg = 3;
  base = -1;
  index = -1;
  scale = 0;
  disp = 0;
  dispHi = 0;
  addrSize = 4;

  /** Immediate, sign-extended; for near branches the distance from the next instruction. */
  imm = 0;
  immHi = 0;
  /** Second immediate (`enter`, far branches: the selector). */
  imm2 = 0;

  lock = false;
  rep = REP_NONE;
  /** 66 prefix. */
  opsize = false;
  rexW = false;
  /** Key in the opcode tables: map, opcode byte, ModRM byte (-1: has none); VEX, EVEX or XOP encoded. */
  map = MAP_ONE;
  opcode = 0;
  modrm = -1;
  vex = false;

  /** LOCK is allowed before this instruction with a memory destination. */
  lockable = false;
  /** A string instruction: RSI, RDI and a repeat count move with it. */
  string = false;
  /** A string instruction that ends on ZF too: CMPS, SCAS. */
  compares = false;
  /** Condition code 0 to 15 of Jcc, SETcc, CMOVcc. */
  cond = 0;
  /** Writes to memory go through the locked path: LOCK prefix, or XCHG with memory. */
  locked = false;
}
