/**
 * The two ways to memory. One set of instruction semantics reaches memory either as a processor does, through
 * page tables and stage 2 (`CpuBus`), or as KVM's instruction emulator does, through look-ups that may end in
 * a device (`EmulateOps`). Linear addresses are numbers below 2^53; data goes through a byte buffer.
 */

/** `CpuBus.stop` and `Cpu.run()`: why the access, or the guest, did not go on. */
export const CPU_OK = 0;
/** Stage 2 has no entry for this access (#NPF, or an intercepted #PF under shadow paging): a VM exit. */
export const CPU_EXIT_NPF = 1;
/** An `in` or `out`: a VM exit with rip still at the instruction. */
export const CPU_EXIT_IO = 2;
/** `hlt`: a VM exit with rip behind it. */
export const CPU_EXIT_HLT = 3;
/** Triple fault. */
export const CPU_EXIT_SHUTDOWN = 4;
/** #UD, which kvm-amd intercepts (`ud_interception()`): rip at the instruction. */
export const CPU_EXIT_UD = 5;
/** The budget of instructions is used up; the guest may go on. */
export const CPU_EXIT_BUDGET = 6;
/** Only as `CpuBus.stop`: the guest's own page tables refuse the access; an exception, not an exit. */
export const CPU_GUEST_PF = 7;
/** This core does not know what the guest asked of its processor: nobody's fault but ours. rip at the instruction. */
export const CPU_EXIT_UNSUPPORTED = 8;

/** The processor's way: translate, and load or store if every page of the access allows it. */
export interface CpuBus {
  /** CPU_OK after an access that was done; else nothing of it was, and this says why. */
  stop: number;
  /** After CPU_GUEST_PF: the linear address for CR2, and the #PF error code. */
  faultAddress: number;
  faultCode: number;
  /** Data of readN and writeN; 64 bytes. */
  readonly buf: Uint8Array;

  /** Loads: the value, zero-extended (32 bits: as int32). Meaningless unless `stop` is CPU_OK. */
  read8(linear: number): number;
  read16(linear: number): number;
  read32(linear: number): number;
  /** Stores. */
  write8(linear: number, value: number): void;
  write16(linear: number, value: number): void;
  write32(linear: number, value: number): void;
  /** Loads `n` bytes (up to 64) into `buf`; all or none. */
  readN(linear: number, n: number): void;
  /** Stores `n` bytes of `buf`; all or none: every page is translated for write first, in address order. */
  writeN(linear: number, n: number): void;
  /**
   * Makes sure that `linear` can be executed and returns an identity of the page of memory it lies in: the
   * decode cache's key. When that memory changes, `codeVersion` of the identity changes.
   * -1, and `stop` set, if it cannot be executed.
   */
  codePage(linear: number): number;
  /** Changes whenever bytes of that page of code may have changed. */
  codeVersion(page: number): number;
  /** Copies up to `n` code bytes from `linear`, all on the page last given by codePage; for the decoder. */
  fetch(linear: number, into: Uint8Array, at: number, n: number): void;
}

/** Result codes of the emulator's callbacks and of its steps (arch/x86/kvm/kvm_emulate.h). */
export const X86EMUL_CONTINUE = 0;
/** KVM cannot do this. */
export const X86EMUL_UNHANDLEABLE = 1;
/** The guest gets an exception. */
export const X86EMUL_PROPAGATE_FAULT = 2;
/** The locked compare found another value. */
export const X86EMUL_CMPXCHG_FAILED = 4;
/** Userspace has to act before the instruction can go on. */
export const X86EMUL_IO_NEEDED = 5;

/** Results of `Emulator.decode()` and `Emulator.execute()`. */
export const EMULATION_FAILED = -1;
export const EMULATION_OK = 0;
/** A string instruction wants to go on with its next element. */
export const EMULATION_RESTART = 1;
/** KVM's emulator does this and ours does not. */
export const EMULATION_UNSUPPORTED = 2;

/** KVM's way, `struct x86_emulate_ops`: each returns X86EMUL_*. */
export interface EmulateOps {
  /** Data of every call; 64 bytes at least, and as many as INS is to read ahead. */
  readonly buf: Uint8Array;
  /** Up to 64 bytes: the expected old value of `cmpxchgEmulated`. */
  readonly old: Uint8Array;
  /** After X86EMUL_PROPAGATE_FAULT: vector (14 for a failed walk), error code and CR2. */
  faultVector: number;
  faultCode: number;
  faultAddress: number;

  /** `fetch()`: code bytes, into `buf`; never crosses a page. */
  fetch(linear: number, n: number): number;
  /** `read_std()`: guest memory only, never a device; `system` reads as a supervisor at any level. */
  readStd(linear: number, n: number, system: boolean): number;
  /** `write_std()`: guest memory only; IO_NEEDED where it cannot be written. */
  writeStd(linear: number, n: number, system: boolean): number;
  /** `read_emulated()`: memory or a device, into `buf`; IO_NEEDED when userspace must answer first. */
  readEmulated(linear: number, n: number): number;
  /** `write_emulated()`: memory, or queued for a device (then still CONTINUE). */
  writeEmulated(linear: number, n: number): number;
  /** `cmpxchg_emulated()`: `old` in `old`, new in `buf`; memory atomically, else as a plain write. */
  cmpxchgEmulated(linear: number, n: number): number;
  /** `pio_in_emulated()`: 1 and data in `buf` if it is there, 0 if userspace must give it first. */
  pioIn(size: number, port: number, count: number): number;
  /** `pio_out_emulated()`. */
  pioOut(size: number, port: number, count: number): number;
  /** `halt()`: sets halt_request, which nothing on AMD looks at. */
  halt(): void;
}
