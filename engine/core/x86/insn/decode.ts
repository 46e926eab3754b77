/**
 * Bytes to `Insn`. Prefixes and the opcode are read here, for they are the key of KVM's tables even where the
 * bytes are no valid instruction; operands come from iced-x86.
 */
import {
  Decoder,
  DecoderError,
  DecoderOptions,
  Instruction,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
} from 'iced-x86';
import { cmps, movs } from '../exec/integer/exec-string.ts';
import { HANDLERS } from '../exec/mnemonics.ts';
import { undefinedOpcode, unknownToUs } from '../exec/system/exec-system.ts';
import { cmpsd } from '../exec/vector/exec-compare.ts';
import { movsd } from '../exec/vector/exec-sse.ts';
import { MODE_LONG64 } from '../regs.ts';
import { Executable } from './executable.ts';
import { fastShape } from './fast.ts';
import { processorLacks } from './features.ts';
import {
  BASE_RIP,
  type Insn,
  K_CR,
  K_DR,
  K_IMM,
  K_MEM,
  K_MMX,
  K_NONE,
  K_REG,
  K_SEG,
  K_ST,
  K_VEC,
  MAP_0F,
  MAP_0F3A,
  MAP_0F38,
  MAP_ONE,
  REP_F2,
  REP_F3,
} from './insn.ts';

/** No instruction is longer. */
export const MAX_INSN_LENGTH = 15;

const BITNESS = [16, 32, 64, 16];
const SEGMENT_PREFIXES: readonly number[] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
/** LOCK is allowed before these, given a memory destination. */
const LOCKABLE: ReadonlySet<number> = new Set([
  ...[Mnemonic.Add, Mnemonic.Adc, Mnemonic.Sub, Mnemonic.Sbb, Mnemonic.And, Mnemonic.Or, Mnemonic.Xor],
  ...[Mnemonic.Inc, Mnemonic.Dec, Mnemonic.Not, Mnemonic.Neg, Mnemonic.Xchg, Mnemonic.Xadd],
  ...[Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc, Mnemonic.Cmpxchg, Mnemonic.Cmpxchg8b, Mnemonic.Cmpxchg16b],
]);

let instruction: Instruction | undefined;

/** Decodes the instruction at the start of `bytes`; always a record, which may say `invalid`. */
export function decode(bytes: Uint8Array, mode: number): Executable {
  const i = new Executable(undefinedOpcode);
  const decoder = new Decoder(BITNESS[mode]!, bytes, DecoderOptions.NoInvalidCheck);
  decoder.ip = 0n;
  instruction ??= new Instruction();
  decoder.decodeOut(instruction);
  const code = instruction;
  scan(i, bytes, mode);
  i.len = code.length;
  i.invalid = code.isInvalid;
  i.truncated = i.invalid && decoder.lastError === DecoderError.NoMoreBytes;
  if (!i.invalid) {
    operands(i, code);
    memory(i, code);
    select(i, code);
    i.fast = fastShape(i);
  } else if (i.len === 0) i.len = 1;
  decoder.free();
  return i;
}

/** Prefixes, opcode map, opcode and ModRM. */
function scan(i: Insn, bytes: Uint8Array, mode: number): void {
  let at = 0;
  let addressPrefix = false;
  for (; at < MAX_INSN_LENGTH; at++) {
    const b = bytes[at];
    if (b === 0x66) i.opsize = true;
    else if (b === 0x67) addressPrefix = true;
    else if (b === 0xf0) i.lock = true;
    else if (b === 0xf2) i.rep = REP_F2;
    else if (b === 0xf3) i.rep = REP_F3;
    else if (mode === MODE_LONG64 && b !== undefined && (b & 0xf0) === 0x40) {
      // Only a REX right before the opcode counts.
      i.rexW = (b & 8) !== 0;
      continue;
    } else if (b === undefined || !SEGMENT_PREFIXES.includes(b)) break;
    i.rexW = false;
  }
  at = opcodeMap(i, bytes, at, mode);
  i.opcode = bytes[at] ?? 0;
  i.modrm = bytes[at + 1] ?? -1;
  const wide = BITNESS[mode] === 16 ? 2 : 4;
  i.opSize = i.opsize ? 6 - wide : wide;
  if (i.rexW) i.opSize = 8;
  if (mode === MODE_LONG64) i.addrSize = addressPrefix ? 4 : 8;
  else i.addrSize = addressPrefix ? 6 - wide : wide;
}

/** Reads the escape bytes; returns where the opcode is. */
function opcodeMap(i: Insn, bytes: Uint8Array, at: number, mode: number): number {
  const b = bytes[at];
  const next = bytes[at + 1] ?? 0;
  i.map = MAP_ONE;
  // Outside long mode C4, C5 and 62 are LES, LDS and BOUND unless ModRM would name a register.
  const vexHere = mode === MODE_LONG64 || next >= 0xc0;
  if ((b === 0xc4 || b === 0xc5 || b === 0x62) && vexHere) {
    i.vex = true;
    return at;
  }
  if (b !== 0x0f) return at;
  if (next !== 0x38 && next !== 0x3a) {
    i.map = MAP_0F;
    return at + 1;
  }
  i.map = next === 0x38 ? MAP_0F38 : MAP_0F3A;
  return at + 2;
}

/** Kind and number of each operand; immediates. */
function operands(i: Insn, code: Instruction): void {
  i.imm2 = -1;
  i.memSize = MemorySizeExt.size(code.memorySize);
  const sizes = [0, 0, 0, 0];
  const kinds = [K_NONE, K_NONE, K_NONE, K_NONE];
  const numbers = [0, 0, 0, 0];
  for (let k = 0; k < Math.min(code.opCount, 4); k++) {
    const kind = code.opKind(k);
    if (kind === OpKind.Register) {
      const r = code.opRegister(k);
      kinds[k] = registerKind(r);
      numbers[k] = registerNumber(r);
      sizes[k] = registerSize(r);
    } else if (kind === OpKind.Memory) {
      kinds[k] = K_MEM;
      sizes[k] = i.memSize;
    } else if (kind >= OpKind.Immediate8 && kind <= OpKind.Immediate32to64) {
      kinds[k] = K_IMM;
      immediate(i, code, k, kind);
    } else if (kind <= OpKind.FarBranch32) {
      kinds[k] = K_IMM;
      branch(i, code, kind);
    } else kinds[k] = K_MEM;
  }
  [i.k0, i.k1, i.k2, i.k3] = kinds as [number, number, number, number];
  [i.r0, i.r1, i.r2, i.r3] = numbers as [number, number, number, number];
  i.size = sizes[0]!;
  i.size1 = sizes[1]!;
}

function immediate(i: Insn, code: Instruction, k: number, kind: number): void {
  const v = code.immediate(k);
  if (kind === OpKind.Immediate8_2nd) {
    i.imm2 = Number(v & 0xffn);
    return;
  }
  i.imm = Number(BigInt.asIntN(32, v));
  i.immHi = Number(BigInt.asIntN(32, v >> 32n));
}

/** Near branches as distances; far ones as offset and selector. */
function branch(i: Insn, code: Instruction, kind: number): void {
  if (kind === OpKind.FarBranch16 || kind === OpKind.FarBranch32) {
    i.imm = kind === OpKind.FarBranch16 ? code.farBranch16 : code.farBranch32 | 0;
    i.imm2 = code.farBranchSelector;
  } else {
    const distance = Number(BigInt.asIntN(64, code.nearBranchTarget)) - code.length;
    i.imm = kind === OpKind.NearBranch16 ? (distance << 16) >> 16 : distance | 0;
  }
}

function registerKind(r: number): number {
  if (r <= Register.R15) return K_REG;
  if (r >= Register.ES && r <= Register.GS) return K_SEG;
  if (r >= Register.XMM0 && r < Register.XMM0 + 64) return K_VEC;
  if (r >= Register.MM0 && r < Register.MM0 + 8) return K_MMX;
  if (r >= Register.ST0 && r < Register.ST0 + 8) return K_ST;
  if (r >= Register.CR0 && r < Register.CR0 + 16) return K_CR;
  return r >= Register.DR0 && r < Register.DR0 + 16 ? K_DR : K_NONE;
}

function registerSize(r: number): number {
  if (r <= Register.R15L) return 1;
  if (r <= Register.R15W) return 2;
  if (r <= Register.R15D) return 4;
  if (r <= Register.R15) return 8;
  if (r >= Register.ES && r <= Register.GS) return 2;
  if (r >= Register.XMM0 && r < Register.XMM0 + 32) return 16;
  if (r >= Register.YMM0 && r < Register.YMM0 + 32) return 32;
  return 8;
}

/** Machine number of a register; `ah` to `bh` are 16 to 19. */
function registerNumber(r: number): number {
  if (r <= Register.R15L) {
    if (r < Register.AH) return r - Register.AL;
    return r <= Register.BH ? r - Register.AH + 16 : r - Register.SPL + 4;
  }
  if (r <= Register.R15) return (r - Register.AX) % 16;
  for (const first of [Register.ST0, Register.MM0]) if (r >= first && r < first + 8) return r - first;
  for (const first of [Register.CR0, Register.DR0]) if (r >= first && r < first + 16) return r - first;
  return r >= Register.XMM0 ? (r - Register.XMM0) % 32 : r - Register.ES;
}

function memory(i: Insn, code: Instruction): void {
  const seg = code.memorySegment;
  if (seg >= Register.ES && seg <= Register.GS) i.seg = seg - Register.ES;
  if (i.k0 !== K_MEM && i.k1 !== K_MEM && i.k2 !== K_MEM) return;
  const base = code.memoryBase;
  const index = code.memoryIndex;
  const disp = BigInt.asIntN(64, code.memoryDisplacement);
  let low = disp;
  if (base === Register.RIP || base === Register.EIP) {
    i.base = BASE_RIP;
    // The decoder counted from address 0; the displacement counts from the next instruction.
    low = disp - BigInt(code.length);
  } else if (base !== Register.None) i.base = registerNumber(base);
  if (index !== Register.None) i.index = registerNumber(index);
  i.scale = 31 - Math.clz32(code.memoryIndexScale);
  i.disp = Number(BigInt.asIntN(32, low));
  i.dispHi = Number(BigInt.asIntN(32, low >> 32n));
}

/** Handler, condition code and the facts that hang on the mnemonic. */
function select(i: Executable, code: Instruction): void {
  const { mnemonic } = code;
  i.string = isString(i);
  i.exec = HANDLERS.get(mnemonic) ?? (processorLacks(code) ? undefinedOpcode : unknownToUs);
  if (mnemonic === Mnemonic.Movsd) i.exec = i.string ? movs : movsd;
  else if (mnemonic === Mnemonic.Cmpsd) i.exec = i.string ? cmps : cmpsd;
  if (i.string) {
    i.compares = (i.opcode & 0xf6) === 0xa6;
    if ((i.opcode & 1) === 0) i.opSize = 1;
    // There is no 64-bit port.
    else if (i.opcode < 0x70 && i.opSize === 8) i.opSize = 4;
  }
  if (i.map === MAP_ONE && i.opcode >= 0xe0 && i.opcode <= 0xe2) i.cond = i.opcode & 3;
  else i.cond = i.opcode & 15;
  // Far branches through memory are told apart by their selector, which is none.
  if (i.map === MAP_ONE && i.opcode === 0xff && (i.modrm & 0x30) !== 0) {
    const reg = (i.modrm >> 3) & 7;
    if (reg === 3 || reg === 5) i.imm2 = 0;
  }
  i.lockable = LOCKABLE.has(mnemonic) && i.k0 === K_MEM;
  i.locked = i.k0 === K_MEM && (i.lock || mnemonic === Mnemonic.Xchg);
  if (i.size === 0) i.size = i.memSize;
}

/** INS, OUTS, MOVS, CMPS, STOS, LODS, SCAS: by opcode, for SSE borrowed two of their names. */
function isString(i: Insn): boolean {
  if (i.map !== MAP_ONE || i.vex) return false;
  const op = i.opcode;
  return (op >= 0x6c && op <= 0x6f) || (op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf);
}
