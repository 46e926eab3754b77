/**
 * The guest assembler: a program is written as calls and becomes real x86 bytes. Few instructions on purpose,
 * those that a question about read-only memory needs; anything else goes through `raw()`.
 */
import { BlockEncoder, Code, Instruction, MemoryOperand, Register } from 'iced-x86';
import type { CpuMode } from '../../engine/machine.ts';
import {
  type Condition,
  IMM,
  JUMP,
  JUMP_64,
  LOAD,
  pick,
  RMW_BYTE,
  RMW_DWORD,
  type RmwOp,
  STORE,
} from './opcodes.ts';
import { al, ebp, ecx, type Mem, type Reg } from './registers.ts';

/** The port whose writes run an action of the VMM; the byte written says which. */
export const ACTION_PORT = 0xe0;
/** Where the code is loaded and starts, as in the recorded cases. */
export const CODE_AT = 0x1000;
/** Labels travel through the encoder as addresses that no instruction of ours can have. */
const LABEL_BASE = 0x7000_0000;
/** Bytes that the encoder takes at once. */
const DECLARED_MAX = 16;
/** The longest guest program: it must stay clear of the page tables and the stack in low memory. */
const CODE_BYTES_MAX = 0x6000;

export type { Condition, RmwOp } from './opcodes.ts';

/** One program under construction. `bytes()` ends it. */
export class Guest {
  readonly mode: CpuMode;
  private readonly wide: boolean;
  private readonly actions: readonly string[];
  private readonly program: Instruction[] = [];
  private readonly labels = new Map<string, number>();
  private readonly placed = new Set<string>();
  private pending: number[] = [];
  private serial = 0;

  /** `actions` are the names `vmm()` knows; their order is the number written to the port. */
  constructor(mode: 'prot32' | 'long64', actions: readonly string[]) {
    this.mode = mode;
    this.wide = mode === 'long64';
    this.actions = actions;
  }

  /** `mov r, value`. */
  set(r: Reg, value: number): void {
    this.push(Instruction.createRegU32(pick(IMM, r), r.id, value >>> 0));
  }

  /** `mov r, s`: both of 32 bits. */
  copy(r: Reg, s: Reg): void {
    this.push(Instruction.createRegReg(Code.Mov_r32_rm32, r.id, s.id));
  }

  /** Loads as many bytes as the register holds; xmm registers with `movups`. */
  load(r: Reg, m: Mem): void {
    this.push(Instruction.createRegMem(pick(LOAD, r), r.id, this.operand(m)));
  }

  /** `movzx r, byte [m]`. */
  loadByte(r: Reg, m: Mem): void {
    this.push(Instruction.createRegMem(Code.Movzx_r32_rm8, r.id, this.operand(m)));
  }

  /** Stores as many bytes as the register holds; xmm registers with `movups`. */
  store(m: Mem, r: Reg): void {
    this.push(Instruction.createMemReg(pick(STORE, r), this.operand(m), r.id));
  }

  /** `mov byte [m], value`. */
  storeByte(m: Mem, value: number): void {
    this.push(Instruction.createMemU32(Code.Mov_rm8_imm8, this.operand(m), value));
  }

  /** `add [m], r` and its like: memory is read and written by one instruction. */
  modify(op: RmwOp, m: Mem, r: Reg, locked = false): void {
    const code = (r.bits === 8 ? RMW_BYTE : RMW_DWORD)[op];
    const instruction = Instruction.createMemReg(code, this.operand(m), r.id);
    instruction.hasLockPrefix = locked;
    this.push(instruction);
  }

  /** `inc dword [m]`. */
  incrementMemory(m: Mem): void {
    this.push(Instruction.createMem(Code.Inc_rm32, this.operand(m)));
  }

  /** `xchg [m], r` of 32 bits: locked, whether it says so or not. */
  exchange(m: Mem, r: Reg): void {
    this.push(Instruction.createMemReg(Code.Xchg_rm32_r32, this.operand(m), r.id));
  }

  /** `fst dword [m]`: an ordinary store to the processor, and one that KVM's emulator does not know. */
  fst(m: Mem): void {
    this.push(Instruction.createMem(Code.Fst_m32fp, this.operand(m)));
  }

  /** `fld1`: something for `fst` to store. */
  fld1(): void {
    this.push(Instruction.create(Code.Fld1));
  }

  /** `add r, s`, both of 32 bits. */
  add(r: Reg, s: Reg): void {
    this.push(Instruction.createRegReg(Code.Add_r32_rm32, r.id, s.id));
  }

  /** `add r, dword [m]`. */
  addFrom(r: Reg, m: Mem): void {
    this.push(Instruction.createRegMem(Code.Add_r32_rm32, r.id, this.operand(m)));
  }

  /** `add r, value`. */
  addTo(r: Reg, value: number): void {
    const code = r.bits === 64 ? Code.Add_rm64_imm32 : Code.Add_rm32_imm32;
    this.push(Instruction.createRegI32(code, r.id, value | 0));
  }

  /** `cmp r, value`; 8 or 32 bits. */
  compare(r: Reg, value: number): void {
    const code = r.bits === 8 ? Code.Cmp_rm8_imm8 : Code.Cmp_rm32_imm32;
    this.push(Instruction.createRegU32(code, r.id, value >>> 0));
  }

  /** `cmp r, s`; 8 or 32 bits. */
  compareRegisters(r: Reg, s: Reg): void {
    this.push(Instruction.createRegReg(r.bits === 8 ? Code.Cmp_r8_rm8 : Code.Cmp_r32_rm32, r.id, s.id));
  }

  /** `test r, value`, 8 bits. */
  test(r: Reg, value: number): void {
    this.push(Instruction.createRegU32(Code.Test_rm8_imm8, r.id, value));
  }

  /** `xor r, r`. */
  clear(r: Reg): void {
    this.push(Instruction.createRegReg(Code.Xor_r32_rm32, r.id, r.id));
  }

  /** `inc r`, 32 bits. */
  increment(r: Reg): void {
    this.push(Instruction.createReg(Code.Inc_rm32, r.id));
  }

  /** `dec r`, 32 bits. */
  decrement(r: Reg): void {
    this.push(Instruction.createReg(Code.Dec_rm32, r.id));
  }

  /** `rep movsb` from esi to edi, ecx bytes. */
  repMovsb(): void {
    this.push(Instruction.createRepMovsb(this.wide ? 64 : 32));
  }

  /** `rep stosb` of al to edi, ecx bytes. */
  repStosb(): void {
    this.push(Instruction.createRepStosb(this.wide ? 64 : 32));
  }

  /** `call r`. */
  call(r: Reg): void {
    this.push(Instruction.createReg(r.bits === 64 ? Code.Call_rm64 : Code.Call_rm32, r.id));
  }

  /** `ret`. */
  ret(): void {
    this.push(Instruction.create(this.wide ? Code.Retnq : Code.Retnd));
  }

  /** `hlt`: the guest has finished. */
  halt(): void {
    this.push(Instruction.create(Code.Hlt));
  }

  /** Bytes as they are: instructions or data. */
  raw(...bytes: number[]): void {
    for (let i = 0; i < bytes.length; i += DECLARED_MAX) {
      this.push(Instruction.createDeclareByte(Uint8Array.from(bytes.slice(i, i + DECLARED_MAX))));
    }
  }

  /** Names the place of the next instruction. */
  label(name: string): void {
    if (this.placed.has(name)) throw new Error(`guest: label '${name}' is placed twice`);
    this.placed.add(name);
    this.pending.push(this.labelId(name));
  }

  /** Jumps to a label, placed before or after. */
  jump(name: string): void {
    this.push(Instruction.createBranch(this.wide ? Code.Jmp_rel32_64 : Code.Jmp_rel32_32, this.target(name)));
  }

  /** Jumps to a label if the last comparison says so. */
  jumpIf(condition: Condition, name: string): void {
    const code = (this.wide ? JUMP_64 : JUMP)[condition];
    this.push(Instruction.createBranch(code, this.target(name)));
  }

  /** Does the body `count` times; ecx counts down, so the body leaves it alone. */
  times(count: number, body: () => void): void {
    if (!Number.isSafeInteger(count) || count > 0xffff_ffff) {
      throw new Error(`times(${count}): expected a whole number below 2^32`);
    }
    if (count < 1) return;
    const again = `times ${this.serial++}`;
    this.set(ecx, count);
    this.label(again);
    body();
    this.decrement(ecx);
    this.jumpIf('nz', again);
  }

  /** One operation is done: counted in ebp, so that a dead guest can tell how far it came. */
  done(): void {
    this.increment(ebp);
  }

  /** Asks the VMM for an action, by name: `mov al, n; out 0xe0, al`. */
  vmm(action: string): void {
    const n = this.actions.indexOf(action);
    if (n < 0) throw new Error(`guest: the scenario has no action '${action}' (${this.actions.join(', ')})`);
    this.set(al, n);
    this.push(Instruction.createU32Reg(Code.Out_imm8_AL, ACTION_PORT, Register.AL));
  }

  /** The program as bytes, to be loaded at `origin`. Frees the program: a guest is assembled once. */
  bytes(origin = CODE_AT): Uint8Array {
    for (const name of this.labels.keys()) {
      if (!this.placed.has(name)) throw new Error(`guest: label '${name}' is used but not placed`);
    }
    // A label at the very end still needs an instruction to stand on.
    if (this.pending.length > 0) this.halt();
    const encoder = new BlockEncoder(this.wide ? 64 : 32, 0);
    for (const instruction of this.program) encoder.add(instruction);
    const bytes = encoder.encode(BigInt(origin));
    encoder.free();
    for (const instruction of this.program) instruction.free();
    this.program.length = 0;
    if (bytes.length > CODE_BYTES_MAX)
      throw new Error(`guest: ${bytes.length} bytes of code, at most ${CODE_BYTES_MAX}`);
    return bytes;
  }

  private operand(m: Mem): MemoryOperand {
    const base = m.base?.id ?? Register.None;
    // Without a base the address takes 32 bits; 1 lets the encoder choose the shortest displacement.
    const size = m.base === undefined ? 4 : m.disp === 0 ? 0 : 1;
    return new MemoryOperand(base, Register.None, 1, BigInt(m.disp), size, false, Register.None);
  }

  private labelId(name: string): number {
    const known = this.labels.get(name);
    if (known !== undefined) return known;
    const id = LABEL_BASE + this.labels.size;
    this.labels.set(name, id);
    return id;
  }

  private target(name: string): bigint {
    return BigInt(this.labelId(name));
  }

  private push(instruction: Instruction): void {
    // The encoder finds a branch's target by its address: two labels in one place need a no-op between them.
    const [first, ...more] = this.pending;
    this.pending = [];
    if (first !== undefined) {
      for (const id of more) {
        const nop = Instruction.create(Code.Nopd);
        nop.ip = BigInt(id);
        this.program.push(nop);
      }
      instruction.ip = BigInt(first);
    }
    this.program.push(instruction);
  }
}
