/**
 * The vCPU's registers. One record, typed arrays made once: the guest CPU and KVM's emulator share it.
 */
import type { CpuMode, VcpuRegs, VcpuSetup } from '../../machine.ts';

/** General registers in machine order; `gpr[2 * i]` is the low half, `gpr[2 * i + 1]` the high half. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;

/** Segment registers in machine order. */
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;

/** EFLAGS bits. */
export const CF = 1 << 0;
export const PF = 1 << 2;
export const AF = 1 << 4;
export const ZF = 1 << 6;
export const SF = 1 << 7;
export const TF = 1 << 8;
export const IF = 1 << 9;
export const DF = 1 << 10;
export const OF = 1 << 11;
export const RF = 1 << 16;
/** The six status flags. */
export const STATUS_FLAGS = CF | PF | AF | ZF | SF | OF;

/** Control register bits that change what an instruction does. */
export const CR0_PE = 1 << 0;
export const CR0_EM = 1 << 2;
export const CR0_TS = 1 << 3;
export const CR0_WP = 1 << 16;
export const CR0_PG = 1 << 31;
export const CR4_PAE = 1 << 5;
export const CR4_OSFXSR = 1 << 9;
export const CR4_OSXSAVE = 1 << 18;

/** Modes as small integers, for the hot path. */
export const MODE_REAL16 = 0;
export const MODE_PROT32 = 1;
export const MODE_LONG64 = 2;
const MODES: Readonly<Record<CpuMode, number>> = {
  real16: MODE_REAL16,
  prot32: MODE_PROT32,
  long64: MODE_LONG64,
};

const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
for (let i = 8; i < 16; i++) GPR_NAMES.push(`r${i}`);
const SEG_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

/** Everything `KVM_GET_REGS`, `KVM_GET_SREGS` and the FPU state hold, as far as a guest here can see it. */
export class Regs {
  /** Sixteen 64-bit registers as pairs of int32: low, high. */
  readonly gpr = new Int32Array(32);
  /** Offset of the next instruction in CS: below 2^53, always a whole number. */
  rip = 0;
  eflags = 2;
  /** Segment bases, in bytes. */
  readonly segBase = new Float64Array(6);
  readonly segSel = new Int32Array(6);
  /** MODE_*. */
  mode = MODE_REAL16;
  cr0 = 0;
  /** Linear address of the last guest page fault. */
  cr2 = 0;
  cr3 = 0;
  cr4 = 0;
  /** Sixteen 256-bit vector registers, eight int32 each. */
  readonly ymm = new Int32Array(16 * 8);
  mxcsr = 0x1f80;
  /** x87 registers by stack position are `st[(top + i) & 7]`; MMX registers are their mantissas. */
  readonly st = new Float64Array(8);
  readonly mmx = new Int32Array(16);
  /** Bit i set: physical x87 register i is in use. */
  fpuTags = 0;
  fpuTop = 0;
  fpuControl = 0x37f;
  fpuStatus = 0;

  /** KVM_SET_SREGS and KVM_SET_REGS: the state that a vCPU starts from. */
  setup(setup: VcpuSetup): void {
    this.mode = MODES[setup.mode];
    const real = this.mode === MODE_REAL16;
    const long = this.mode === MODE_LONG64;
    this.cr0 = real ? 0x60000010 : 0x33;
    this.cr4 = CR4_OSFXSR | (1 << 10);
    if (long) {
      this.cr0 |= CR0_PG | CR0_WP;
      this.cr4 |= CR4_PAE | CR4_OSXSAVE;
    }
    this.cr3 = setup.cr3 ?? 0x8000;
    this.segSel.fill(real ? 0 : 16);
    if (!real) this.segSel[CS] = 8;
    this.segBase.fill(0);
    for (const [name, segmentBase] of Object.entries(setup.segs ?? {})) {
      const seg = SEG_NAMES.indexOf(name);
      this.segBase[seg] = segmentBase;
      this.segSel[seg] = segmentBase >>> 4;
    }
    this.gpr.fill(0);
    this.rip = 0;
    this.eflags = 2;
    for (const [name, value] of Object.entries(setup.regs ?? {})) this.#set(name, BigInt(value));
  }

  #set(name: string, value: bigint): void {
    if (name === 'rip') this.rip = Number(value);
    else if (name === 'rflags') this.eflags = Number(value) | 2;
    else {
      const i = GPR_NAMES.indexOf(name);
      this.gpr[2 * i] = Number(value & 0xffffffffn);
      this.gpr[2 * i + 1] = Number((value >> 32n) & 0xffffffffn);
    }
  }

  /** KVM_GET_REGS. */
  read(): VcpuRegs {
    const gpr: bigint[] = [];
    for (let i = 0; i < 16; i++) {
      const low = BigInt(this.gpr[2 * i]! >>> 0);
      gpr.push((BigInt(this.gpr[2 * i + 1]! >>> 0) << 32n) | low);
    }
    return { gpr, rip: BigInt(this.rip), rflags: this.eflags };
  }
}
