/**
 * A few x86-64 instructions with labels, for the agent alone: real encoding by iced-x86, one call an instruction.
 * Registers are iced's, immediates plain numbers.
 */
import { BlockEncoder, Code, Instruction, MemoryOperand, Register } from 'iced-x86';

/** Labels travel through the encoder as addresses that no instruction of ours can have. */
const LABEL_BASE = 0x7000_0000;

/** `[base + disp]`; without a base an absolute address below 2 GiB. */
export interface Where {
  readonly base?: Register;
  readonly disp: number;
}

/** The branches the agent takes. */
const JUMPS = {
  jmp: Code.Jmp_rel32_64,
  call: Code.Call_rel32_64,
  je: Code.Je_rel32_64,
  jne: Code.Jne_rel32_64,
  jb: Code.Jb_rel32_64,
  jae: Code.Jae_rel32_64,
  jns: Code.Jns_rel32_64,
  js: Code.Js_rel32_64,
  jle: Code.Jle_rel32_64,
} as const;

/** A program under construction; `bytes()` ends it and frees it. */
export class Assembler {
  readonly #program: Instruction[] = [];
  readonly #labels = new Map<string, number>();
  #pending: number | undefined;

  /** Names the place of the next instruction. */
  label(name: string): void {
    this.#pending = this.#idOf(name);
  }

  /** Branches to a label, placed before or after. */
  branch(kind: keyof typeof JUMPS, name: string): void {
    this.#push(Instruction.createBranch(JUMPS[kind], BigInt(this.#idOf(name))));
  }

  /** `mov r, value`, 32 bits, the upper half becomes 0. */
  set(r: Register, value: number): void {
    this.#push(Instruction.createRegU32(Code.Mov_r32_imm32, r, value >>> 0));
  }

  /** `mov to, from`, 64 bits. */
  copy(to: Register, from: Register): void {
    this.#push(Instruction.createRegReg(Code.Mov_r64_rm64, to, from));
  }

  /** `mov r, [m]`, 64 bits. */
  load(r: Register, m: Where): void {
    this.#push(Instruction.createRegMem(Code.Mov_r64_rm64, r, operand(m)));
  }

  /** `mov [m], r`, 64 bits. */
  store(m: Where, r: Register): void {
    this.#push(Instruction.createMemReg(Code.Mov_rm64_r64, operand(m), r));
  }

  /** `mov qword [m], value`. */
  storeValue(m: Where, value: number): void {
    this.#push(Instruction.createMemI32(Code.Mov_rm64_imm32, operand(m), value));
  }

  /** `lea r, [m]`, 64 bits. */
  address(r: Register, m: Where): void {
    this.#push(Instruction.createRegMem(Code.Lea_r64_m, r, operand(m)));
  }

  /** `lea r, [label]`. */
  addressOf(r: Register, name: string): void {
    const where = new MemoryOperand(
      Register.RIP,
      Register.None,
      1,
      BigInt(this.#idOf(name)),
      8,
      false,
      Register.None,
    );
    this.#push(Instruction.createRegMem(Code.Lea_r64_m, r, where));
  }

  /** An instruction of two 64-bit registers: `add`, `sub`, `or`, `cmp`, `test`. */
  both(code: Code, a: Register, b: Register): void {
    this.#push(Instruction.createRegReg(code, a, b));
  }

  /** An instruction of a register and a small number. */
  withValue(code: Code, r: Register, value: number): void {
    this.#push(Instruction.createRegI32(code, r, value));
  }

  /** An instruction of a register and memory. */
  withMemory(code: Code, r: Register, m: Where): void {
    this.#push(Instruction.createRegMem(code, r, operand(m)));
  }

  /** An instruction of memory and a small number. */
  memoryValue(code: Code, m: Where, value: number): void {
    this.#push(Instruction.createMemI32(code, operand(m), value));
  }

  /** An instruction of one register: `push`, `pop`. */
  one(code: Code, r: Register): void {
    this.#push(Instruction.createReg(code, r));
  }

  /** An instruction without operands: `syscall`, `rdtsc`. */
  plain(code: Code): void {
    this.#push(Instruction.create(code));
  }

  /** `rep movsq`. */
  repMovsq(): void {
    this.#push(Instruction.createRepMovsq(64));
  }

  /** Bytes as they are: data, at most 16. */
  data(bytes: readonly number[]): void {
    this.#push(Instruction.createDeclareByte(Uint8Array.from(bytes)));
  }

  /** The program as bytes, to run at `origin`. */
  bytes(origin: number): Uint8Array {
    const encoder = new BlockEncoder(64, 0);
    for (const instruction of this.#program) encoder.add(instruction);
    const bytes = encoder.encode(BigInt(origin));
    encoder.free();
    for (const instruction of this.#program) instruction.free();
    this.#program.length = 0;
    return bytes;
  }

  #idOf(name: string): number {
    const known = this.#labels.get(name);
    if (known !== undefined) return known;
    const id = LABEL_BASE + this.#labels.size;
    this.#labels.set(name, id);
    return id;
  }

  #push(instruction: Instruction): void {
    if (this.#pending !== undefined) instruction.ip = BigInt(this.#pending);
    this.#pending = undefined;
    this.#program.push(instruction);
  }
}

function operand(m: Where): MemoryOperand {
  const size = m.base === undefined ? 4 : m.disp === 0 ? 0 : 1;
  return new MemoryOperand(
    m.base ?? Register.None,
    Register.None,
    1,
    BigInt(m.disp),
    size,
    false,
    Register.None,
  );
}
