/** The machine's port: what a handler asks of the world, and what it may get for an answer. */
import type { Insn } from './insn/insn.ts';

/** Returned by a handler that raised an exception: `vector` and `errorCode` say which. No other code has this bit. */
export const EXCEPTION = 32;
/** Returned by a handler that meets something KVM's emulator does not do: X86EMUL_UNHANDLEABLE. */
export const UNHANDLEABLE = 1;
/** Returned for an instruction that a real processor executes and this core does not: CPU_EXIT_UNSUPPORTED. */
export const UNSUPPORTED = 8;

/** Exception vectors. */
export const VECTOR_DE = 0;
export const VECTOR_BP = 3;
export const VECTOR_OF = 4;
export const VECTOR_UD = 6;
export const VECTOR_NM = 7;
export const VECTOR_DF = 8;
export const VECTOR_TS = 10;
export const VECTOR_NP = 11;
export const VECTOR_SS = 12;
export const VECTOR_GP = 13;
export const VECTOR_PF = 14;

/** Memory, ports and HLT as one of the two worlds does them: each returns 0 or a reason to stop. */
export interface ProcessorPort {
  /** Loads 1, 2, 4 or 8 bytes into `lo` and `hi` of the machine. `off` is an offset in segment `seg`. */
  load(seg: number, off: number, n: number): number;
  /** Stores 1, 2, 4 or 8 bytes. */
  store(seg: number, off: number, n: number, lo: number, hi: number): number;
  /** The store of a locked instruction that had read `oldLo`, `oldHi` there. */
  storeLocked(seg: number, off: number, n: number, lo: number, hi: number): number;
  /**
   * Loads from a linear address as a supervisor, no segment involved: descriptor tables, task state, the vectors of
   * real mode. Memory only (`read_std()`).
   */
  loadLinear(linear: number, n: number): number;
  /** Stores there; memory only (`write_std()`). */
  storeLinear(linear: number, n: number, lo: number, hi: number): number;
  /** Loads or stores `n` bytes of the machine's `buf`: vector and x87 operands. */
  loadBytes(seg: number, off: number, n: number): number;
  storeBytes(seg: number, off: number, n: number): number;
  /** As storeBytes, but for memory only (`write_std()`): SGDT, SIDT and FXSAVE. */
  storeStd(seg: number, off: number, n: number): number;
  /** As loadBytes, but from memory only (`read_std()`): LGDT and LIDT. */
  loadStd(seg: number, off: number, n: number): number;
  /** `in`: data in `lo`. */
  portIn(port: number, size: number): number;
  portOut(port: number, size: number, value: number): number;
  halt(): number;
  /** INS and OUTS: one element, or as many as the port does at a time. */
  stringIn(i: Insn): number;
  stringOut(i: Insn): number;
  /** True for KVM's emulator: a handful of instructions are done differently there. */
  readonly emulator: boolean;
}
