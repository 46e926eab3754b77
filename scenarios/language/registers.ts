/** The registers a guest program may name, with their width. */
import { Register } from 'iced-x86';

/** A register as the assembler takes it. */
export interface Reg {
  readonly kind: 'reg';
  readonly bits: 8 | 16 | 32 | 64 | 128;
  /** The decoder library's number. */
  readonly id: Register;
}

/** A place in guest memory: `[base + disp]`, or `[disp]` alone. */
export interface Mem {
  readonly kind: 'mem';
  readonly base?: Reg;
  readonly disp: number;
}

const reg = (bits: Reg['bits'], id: Register): Reg => ({ kind: 'reg', bits, id });

/** The low bytes of the first four. */
export const al = reg(8, Register.AL);
export const bl = reg(8, Register.BL);
export const cl = reg(8, Register.CL);
export const dl = reg(8, Register.DL);
/** Of 16 bits. */
export const ax = reg(16, Register.AX);
export const dx = reg(16, Register.DX);
/** Of 32 bits. */
export const eax = reg(32, Register.EAX);
export const ebx = reg(32, Register.EBX);
export const ecx = reg(32, Register.ECX);
export const edx = reg(32, Register.EDX);
export const esi = reg(32, Register.ESI);
export const edi = reg(32, Register.EDI);
/** Counts the guest's operations; see `Guest.done()`. */
export const ebp = reg(32, Register.EBP);
export const esp = reg(32, Register.ESP);
/** In 64-bit mode, for addresses. */
export const rdi = reg(64, Register.RDI);
export const rsi = reg(64, Register.RSI);
/** For stores of 16 bytes. */
export const xmm0 = reg(128, Register.XMM0);

/** `[base + disp]`. */
export const at = (base: Reg, disp = 0): Mem => ({ kind: 'mem', base, disp });
/** `[disp]`: an address known when the guest is written. */
export const abs = (disp: number): Mem => ({ kind: 'mem', disp });
