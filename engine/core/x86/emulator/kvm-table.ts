/**
 * What KVM's emulator (Linux 6.1) knows about each opcode: which ones its tables have, and the marks on them
 * that change what happens. Keyed as its tables are: map, opcode, ModRM.reg for groups, mandatory prefix.
 */
import { type Insn, MAP_0F, MAP_0F38, MAP_ONE, REP_NONE } from '../insn/insn.ts';
import { MODE_LONG64, MODE_REAL16 } from '../regs.ts';

/** The tables have it. */
const T_KNOWN = 1 << 0;
/** A LOCK prefix is accepted with a memory destination. */
export const T_LOCK = 1 << 1;
/** `PageTable`: retry_instruction() does not apply (the instruction is one that writes page tables). */
export const T_PAGE_TABLE = 1 << 2;
/** Two memory operands: the fault's guest-physical address may belong to either. */
export const T_TWO_MEM = 1 << 3;
/** #UD in long mode. */
const T_NO64 = 1 << 4;
/** #UD in real mode. */
const T_PROT = 1 << 5;
/** #UD everywhere. */
const T_UNDEFINED = 1 << 6;
/** May be emulated after an intercepted #UD. */
export const T_ON_UD = 1 << 7;
/** The opcode means different things by mandatory prefix: `PREFIXED` has one entry for each. */
const T_PREFIXED = 1 << 8;
/** ModRM.reg selects: `GROUPS` has eight entries. */
const T_GROUP = 1 << 9;
/** Only with a memory operand; with a register operand the tables have nothing. */
const T_MEMORY = 1 << 10;

const K = T_KNOWN;
const ONE = new Uint16Array(256);
const TWO = new Uint16Array(256);
const GROUPS = new Map<number, readonly number[]>();
const PREFIXED = new Map<number, readonly number[]>();

function range(table: Uint16Array, first: number, last: number, marks: number): void {
  for (let op = first; op <= last; op++) table[op] = K | marks;
}

/** Eight entries by ModRM.reg; a missing one is 0. */
function group(map: number, opcodes: readonly number[], entries: readonly number[]): void {
  for (const op of opcodes) {
    (map === MAP_ONE ? ONE : TWO)[op] = K | T_GROUP;
    GROUPS.set((map << 8) | op, entries);
  }
}

/** Known with no prefix, 66, F3, F2. */
function prefixed(opcodes: readonly number[], entries: readonly [number, number, number, number]): void {
  for (const op of opcodes) {
    TWO[op] = K | T_PREFIXED;
    PREFIXED.set(op, entries);
  }
}

const LOCKED_TABLE = K | T_LOCK | T_PAGE_TABLE;
const LOCKED = K | T_LOCK;

function arithmeticRows(): void {
  // ADD OR ADC SBB AND SUB XOR CMP: memory destination, register destination, accumulator.
  const marks = [T_LOCK, T_LOCK | T_PAGE_TABLE, T_LOCK, T_LOCK, T_LOCK | T_PAGE_TABLE, T_LOCK, T_LOCK, 0];
  for (let row = 0; row < 8; row++) {
    range(ONE, 8 * row, 8 * row + 1, marks[row]!);
    range(ONE, 8 * row + 2, 8 * row + 5, 0);
  }
  // Pushes and pops of ES, CS, SS, DS.
  for (const op of [0x06, 0x07, 0x0e, 0x16, 0x17, 0x1e, 0x1f, 0x2f]) range(ONE, op, op, T_NO64);
  const byReg = [LOCKED, LOCKED_TABLE, LOCKED, LOCKED, LOCKED_TABLE, LOCKED, LOCKED, K];
  group(MAP_ONE, [0x80, 0x81, 0x83], byReg);
  group(
    MAP_ONE,
    [0x82],
    byReg.map((e) => e | T_NO64),
  );
}

function oneByteRows(): void {
  range(ONE, 0x40, 0x5f, 0);
  range(ONE, 0x60, 0x61, T_NO64);
  range(ONE, 0x63, 0x63, 0);
  range(ONE, 0x68, 0x7f, 0);
  range(ONE, 0x84, 0x85, 0);
  range(ONE, 0x86, 0x87, T_LOCK | T_PAGE_TABLE);
  range(ONE, 0x88, 0x89, T_PAGE_TABLE);
  range(ONE, 0x8a, 0x8b, 0);
  range(ONE, 0x8c, 0x8c, T_PAGE_TABLE);
  range(ONE, 0x8d, 0x8e, 0);
  group(MAP_ONE, [0x8f], [K | T_TWO_MEM]);
  range(ONE, 0x90, 0x99, 0);
  range(ONE, 0x9a, 0x9a, T_NO64);
  range(ONE, 0x9c, 0xa1, 0);
  range(ONE, 0xa2, 0xa3, T_PAGE_TABLE);
  range(ONE, 0xa4, 0xa7, T_TWO_MEM);
  range(ONE, 0xa8, 0xc3, 0);
  range(ONE, 0xc4, 0xc5, T_NO64);
  const undefined7 = new Array<number>(7).fill(K | T_UNDEFINED);
  group(MAP_ONE, [0xc6, 0xc7], [K | T_PAGE_TABLE, ...undefined7]);
  range(ONE, 0xc8, 0xcd, 0);
  range(ONE, 0xce, 0xce, T_NO64);
  range(ONE, 0xcf, 0xd3, 0);
  range(ONE, 0xd4, 0xd6, T_NO64);
  range(ONE, 0xd7, 0xd7, 0);
  // x87: FNSTCW, FNSTSW to memory, and FNINIT (which has a register form only).
  group(MAP_ONE, [0xd9, 0xdd], [0, 0, 0, 0, 0, 0, 0, K | T_MEMORY]);
  ONE[0xdb] = K;
  range(ONE, 0xe0, 0xe9, 0);
  range(ONE, 0xea, 0xea, T_NO64);
  range(ONE, 0xeb, 0xef, 0);
  range(ONE, 0xf4, 0xf5, 0);
  group(MAP_ONE, [0xf6, 0xf7], [K, K, LOCKED, LOCKED, K, K, K, K]);
  range(ONE, 0xf8, 0xfd, 0);
  group(MAP_ONE, [0xfe], [LOCKED, LOCKED]);
  group(MAP_ONE, [0xff], [LOCKED, LOCKED, K, K, K, K, K | T_TWO_MEM, K | T_UNDEFINED]);
}

function twoByteRows(): void {
  group(MAP_0F, [0x00], [K | T_PROT, K | T_PROT, K | T_PROT, K | T_PROT]);
  const memory = K | T_MEMORY;
  group(MAP_0F, [0x01], [memory, memory, memory, memory, K, 0, K, memory]);
  range(TWO, 0x05, 0x05, T_ON_UD);
  for (const op of [0x06, 0x08, 0x09, 0x0d, 0x18, 0x19]) range(TWO, op, op, 0);
  range(TWO, 0x1c, 0x23, 0);
  // MOVUPS MOVUPD, MOVAPS MOVAPD, MOVNTPS MOVNTPD: the scalar forms, F3 and F2, are not there.
  prefixed([0x10, 0x11, 0x28, 0x29, 0x2b], [K, K, 0, 0]);
  range(TWO, 0x30, 0x33, 0);
  range(TWO, 0x34, 0x35, T_ON_UD);
  range(TWO, 0x40, 0x4f, 0);
  // MOVQ mm, MOVDQA, MOVDQU.
  prefixed([0x6f, 0x7f], [K, K, K, 0]);
  range(TWO, 0x80, 0xa3, 0);
  range(TWO, 0xa4, 0xa5, 0);
  range(TWO, 0xa8, 0xa9, 0);
  range(TWO, 0xaa, 0xaa, T_ON_UD);
  range(TWO, 0xab, 0xab, T_LOCK | T_PAGE_TABLE);
  range(TWO, 0xac, 0xad, 0);
  group(MAP_0F, [0xae], [memory, memory, 0, 0, 0, 0, 0, memory]);
  range(TWO, 0xaf, 0xaf, 0);
  range(TWO, 0xb0, 0xb1, T_LOCK | T_PAGE_TABLE);
  range(TWO, 0xb2, 0xb2, 0);
  range(TWO, 0xb3, 0xb3, T_LOCK);
  range(TWO, 0xb4, 0xb7, 0);
  group(MAP_0F, [0xba], [0, 0, 0, 0, K, LOCKED_TABLE, LOCKED, LOCKED_TABLE]);
  range(TWO, 0xbb, 0xbb, T_LOCK | T_PAGE_TABLE);
  range(TWO, 0xbc, 0xbf, 0);
  range(TWO, 0xc0, 0xc1, T_LOCK);
  range(TWO, 0xc3, 0xc3, 0);
  group(MAP_0F, [0xc7], [0, LOCKED_TABLE | T_MEMORY]);
  range(TWO, 0xc8, 0xcf, 0);
  // MOVNTDQ; without 66 it is MOVNTQ, which is not there.
  prefixed([0xe7], [0, K, 0, 0]);
}

arithmeticRows();
oneByteRows();
twoByteRows();

/** The 0F 38 map: MOVNTDQA with 66, MOVBE without any prefix. */
function map38(i: Insn): number {
  if (i.opcode === 0x2a) return i.opsize && i.rep === REP_NONE ? K | T_MEMORY : 0;
  if (i.opcode === 0xf0 || i.opcode === 0xf1) return i.opsize || i.rep !== REP_NONE ? 0 : K | T_MEMORY;
  return 0;
}

/** Marks of a decoded instruction; 0 where decoding fails in KVM. */
export function kvmMarks(i: Insn, mode: number): number {
  if (i.vex) return 0;
  let marks = 0;
  if (i.map === MAP_ONE) marks = ONE[i.opcode]!;
  else if (i.map === MAP_0F) marks = TWO[i.opcode]!;
  else if (i.map === MAP_0F38) marks = map38(i);
  if (marks & T_GROUP) marks = GROUPS.get((i.map << 8) | i.opcode)![(i.modrm >> 3) & 7] ?? 0;
  if (marks & T_PREFIXED) {
    // Both 66 and F2 or F3 before such an opcode are one too many for the decoder.
    if (i.opsize && i.rep !== REP_NONE) return 0;
    marks = PREFIXED.get(i.opcode)![i.opsize ? 1 : i.rep === REP_NONE ? 0 : i.rep + 1]!;
  }
  const isRegister = i.modrm >= 0xc0;
  if (marks & T_MEMORY && isRegister) return 0;
  if (i.map !== MAP_ONE) return marks;
  if (i.opcode === 0xdb) return i.modrm === 0xe3 ? marks : 0;
  // MOVSXD in long mode, ARPL elsewhere: only the first is there.
  return i.opcode === 0x63 && mode !== MODE_LONG64 ? 0 : marks;
}

/** Does executing it end in #UD before anything is done (`x86_emulate_insn()`)? */
export function marksUndefined(marks: number, mode: number): boolean {
  if (marks & T_UNDEFINED) return true;
  if (marks & T_NO64 && mode === MODE_LONG64) return true;
  return (marks & T_PROT) !== 0 && mode === MODE_REAL16;
}
