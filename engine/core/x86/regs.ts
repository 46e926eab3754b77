/**
 * The vCPU's registers. One record, typed arrays made once: the guest CPU and KVM's emulator share it.
 */
import type { VcpuRegs, VcpuSetup } from '../../machine.ts';

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
/** The two system segments, kept in the same arrays. */
export const LDTR = 6;
export const TR = 7;

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
/** Two bits: the least privileged level that may use ports, CLI and STI. */
export const IOPL_SHIFT = 12;
export const NT = 1 << 14;
export const RF = 1 << 16;
export const VM = 1 << 17;
export const AC = 1 << 18;
export const ID = 1 << 21;
/** The six status flags. */
export const STATUS_FLAGS = CF | PF | AF | ZF | SF | OF;

/** Control register bits that change what an instruction does. */
export const CR0_PE = 1 << 0;
export const CR0_EM = 1 << 2;
export const CR0_TS = 1 << 3;
export const CR0_ET = 1 << 4;
export const CR0_WP = 1 << 16;
export const CR0_PG = 1 << 31;
export const CR4_TSD = 1 << 2;
export const CR4_DE = 1 << 3;
export const CR4_PSE = 1 << 4;
export const CR4_PAE = 1 << 5;
export const CR4_OSFXSR = 1 << 9;
export const CR4_OSXSAVE = 1 << 18;
/** EFER bits. */
export const EFER_SCE = 1 << 0;
export const EFER_LME = 1 << 8;
export const EFER_LMA = 1 << 10;
export const EFER_NXE = 1 << 11;

/** Bits of a segment's attributes, laid out as in the descriptor's second word above bit 8 (and as in a VMCB). */
export const SEG_ACCESSED = 1 << 0;
/** Data: writable; code: readable. */
export const SEG_RW = 1 << 1;
/** Data: grows down; code: conforming. */
export const SEG_DOWN = 1 << 2;
export const SEG_CODE = 1 << 3;
/** Code or data, not a system segment. */
export const SEG_S = 1 << 4;
export const SEG_DPL_SHIFT = 5;
export const SEG_PRESENT = 1 << 7;
export const SEG_LONG = 1 << 9;
/** 32-bit code, or a 32-bit stack. */
export const SEG_BIG = 1 << 10;
export const SEG_GRANULAR = 1 << 11;

/** Modes as small integers, for the hot path: what size code has, and whether selectors name descriptors. */
export const MODE_REAL16 = 0;
export const MODE_PROT32 = 1;
export const MODE_LONG64 = 2;
export const MODE_PROT16 = 3;

/** Half of the 48-bit address space: canonical addresses are numbers from -2^47 to 2^47, linear ones from 0 to 2^48. */
const UPPER_HALF = 2 ** 47;

/** A canonical address as a linear address without its sign. */
export const linearOf = (address: number): number => (address < 0 ? address + 2 * UPPER_HALF : address);

/** The canonical address, signed, of a linear address. */
export const canonicalOf = (linear: number): number =>
  linear >= UPPER_HALF ? linear - 2 * UPPER_HALF : linear;

/** Can this be an address at all in long mode? */
export const isCanonical = (address: number): boolean => address >= -UPPER_HALF && address < UPPER_HALF;

const GPR_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
for (let i = 8; i < 16; i++) GPR_NAMES.push(`r${i}`);
const SEG_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
/** PAT after reset. */
const RESET_PAT = 0x0007040600070406n;

/** Family, model and stepping of the processor (CPUID leaf 1), which a reset leaves in RDX: QEMU's AMD processor. */
const CPUID_SIGNATURE = 0x60fb1;

/** Everything `KVM_GET_REGS`, `KVM_GET_SREGS` and the FPU state hold, as far as a guest here can see it. */
export class Regs {
  /** Sixteen 64-bit registers as pairs of int32: low, high. */
  readonly gpr = new Int32Array(32);
  /** Offset of the next instruction in CS: a whole number, negative in the upper half of the address space. */
  rip = 0;
  eflags = 2;
  /** Segments: bases in bytes, selectors, limits (the last byte), attributes (0: unusable). */
  readonly segBase = new Float64Array(8);
  readonly segSel = new Int32Array(8);
  readonly segLimit = new Float64Array(8);
  readonly segAttr = new Int32Array(8);
  /** Descriptor tables. */
  gdtBase = 0;
  gdtLimit = 0xffff;
  idtBase = 0;
  idtLimit = 0xffff;
  /** Current privilege level. */
  cpl = 0;
  /** MODE_*; follows from CR0, EFER and CS, as the five fields after it do: `update()`. */
  mode = MODE_REAL16;
  /** Bytes of an instruction pointer, and of the stack pointer. */
  codeSize = 2;
  stackSize = 2;
  /** 32-bit code and every base that matters 0: an offset is an address. FS and GS are not looked at. */
  flat = false;
  /** Changes whenever code may have to be looked up again: mode, CS, privilege, paging. */
  context = 0;
  cr0 = 0;
  /** Linear address of the last guest page fault, signed. */
  cr2 = 0;
  cr3 = 0;
  cr4 = 0;
  cr8 = 0;
  efer = 0;
  xcr0 = 7;
  readonly dr = new Float64Array(8);
  /** Other model-specific registers, by number. */
  readonly msrs = new Map<number, bigint>();
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
  /** Called when cached translations are no longer good: for the level that the guest is at now… */
  onTranslationChange: () => void = () => {};
  /** Asked before a model-specific register is written: taken, refused (#GP), or undefined for one like any other. */
  onMsrWrite: (msr: number, value: bigint) => boolean | undefined = () => undefined;
  /** …or at all: paging, its tables or its rules changed, or the guest says so (INVLPG). */
  onPagingChange: () => void = () => {};

  /** KVM_SET_SREGS and KVM_SET_REGS: the state that a vCPU starts from. */
  setup(setup: VcpuSetup): void {
    const real = setup.mode === 'real16';
    const long = setup.mode === 'long64';
    this.cr0 = real ? 0x60000010 : 0x33;
    this.cr4 = CR4_OSFXSR | (1 << 10);
    this.efer = long ? EFER_LME | EFER_LMA : 0;
    if (long) {
      this.cr0 |= CR0_PG | CR0_WP;
      this.cr4 |= CR4_PAE | CR4_OSXSAVE;
    }
    this.cr2 = 0;
    this.cr3 = setup.cr3 ?? 0x8000;
    this.cr8 = 0;
    this.dr.fill(0);
    this.dr[6] = 0xffff0ff0;
    this.dr[7] = 0x400;
    this.msrs.clear();
    this.msrs.set(MSR_PAT, RESET_PAT);
    this.#resetSegments(setup);
    this.gpr.fill(0);
    this.rip = 0;
    this.eflags = 2;
    for (const [name, value] of Object.entries(setup.regs ?? {})) this.#set(name, BigInt(value));
    this.update();
    this.onTranslationChange();
  }

  #resetSegments(setup: VcpuSetup): void {
    const real = setup.mode === 'real16';
    const dpl = (setup.cpl ?? 0) << SEG_DPL_SHIFT;
    const size = real ? 0 : SEG_BIG | SEG_GRANULAR;
    const data = SEG_PRESENT | SEG_S | SEG_RW | SEG_ACCESSED | dpl;
    this.cpl = setup.cpl ?? 0;
    // A user's selectors are those of a kernel that has its own two segments first: 1b and 23.
    const user = this.cpl === 3;
    this.segSel.fill(real ? 0 : user ? 0x23 : 0x10);
    this.segBase.fill(0);
    this.segLimit.fill(real ? 0xffff : 0xffffffff);
    this.segAttr.fill(data | size);
    if (!real) this.segSel[CS] = user ? 0x1b : 8;
    const code = setup.mode === 'long64' ? SEG_LONG | SEG_GRANULAR : size;
    this.segAttr[CS] = data | SEG_CODE | code;
    this.segSel[LDTR] = 0;
    this.segSel[TR] = 0;
    this.segLimit[LDTR] = 0xffff;
    this.segLimit[TR] = 0xffff;
    this.segAttr[LDTR] = SEG_PRESENT | 2;
    this.segAttr[TR] = SEG_PRESENT | 3;
    this.gdtBase = setup.gdt?.base ?? 0;
    this.gdtLimit = setup.gdt?.limit ?? 0xffff;
    this.idtBase = setup.idt?.base ?? 0;
    this.idtLimit = setup.idt?.limit ?? 0xffff;
    for (const [name, segmentBase] of Object.entries(setup.segs ?? {})) {
      const seg = SEG_NAMES.indexOf(name);
      this.segBase[seg] = segmentBase;
      this.segSel[seg] = segmentBase >>> 4;
    }
  }

  /** INIT: what the vCPU is after its processor has shut down (kvm_vcpu_reset()). */
  init(): void {
    this.setup({ mode: 'real16', regs: { rip: 0xfff0, rdx: CPUID_SIGNATURE } });
    this.segBase[CS] = 0xffff0000;
    this.segSel[CS] = 0xf000;
  }

  /** After CR0, EFER or a segment changed: mode, sizes, and that code is to be looked up again. */
  update(): void {
    const cs = this.segAttr[CS]!;
    if ((this.cr0 & CR0_PE) === 0) this.mode = MODE_REAL16;
    else if (this.efer & EFER_LMA && cs & SEG_LONG) this.mode = MODE_LONG64;
    else this.mode = cs & SEG_BIG ? MODE_PROT32 : MODE_PROT16;
    this.codeSize = CODE_SIZES[this.mode]!;
    this.stackSize = this.mode === MODE_LONG64 ? 8 : this.segAttr[SS]! & SEG_BIG ? 4 : 2;
    this.updateFlat();
    this.context++;
  }

  /** After a data segment changed. */
  updateFlat(): void {
    const base = this.segBase;
    const flat =
      this.mode === MODE_PROT32 && base[ES] === 0 && base[CS] === 0 && base[SS] === 0 && base[DS] === 0;
    if (flat !== this.flat) this.context++;
    this.flat = flat;
  }

  /** Where the next instruction is, as a linear address. */
  linearRip(): number {
    return linearOf(this.mode === MODE_LONG64 ? this.rip : this.segBase[CS]! + this.rip);
  }

  /** Changes the privilege level; what a supervisor may reach, a user may not. */
  setCpl(cpl: number): void {
    if ((this.cpl === 3) !== (cpl === 3)) this.onTranslationChange();
    this.cpl = cpl;
    this.context++;
  }

  #set(name: string, value: bigint): void {
    if (name === 'rip') this.rip = Number(BigInt.asIntN(64, value));
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
    return { gpr, rip: BigInt.asUintN(64, BigInt(this.rip)), rflags: this.eflags };
  }
}

/** Bytes of an instruction pointer, by mode. */
const CODE_SIZES: readonly number[] = [2, 4, 8, 2];
/** IA32_PAT: the one register here that does not start as 0. */
const MSR_PAT = 0x277;
