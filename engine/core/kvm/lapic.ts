/**
 * The local APIC in the kernel (arch/x86/kvm/lapic.c of Linux 6.1), as far as a guest with one processor and no timer
 * can tell: its registers, one interrupt at a time by priority, and the end of it. What it has not is said, not guessed.
 */

/** Where its registers are after reset, and how many bytes of them. */
const APIC_DEFAULT_PHYS_BASE = 0xfee00000;
const LAPIC_MMIO_LENGTH = 0x1000;

/** Registers, by their offset. */
const APIC_ID = 0x20;
const APIC_LVR = 0x30;
const APIC_TASKPRI = 0x80;
const APIC_PROCPRI = 0xa0;
const APIC_EOI = 0xb0;
const APIC_LDR = 0xd0;
const APIC_DFR = 0xe0;
const APIC_SPIV = 0xf0;
const APIC_ISR = 0x100;
const APIC_IRR = 0x200;
const APIC_ICR = 0x300;
const APIC_ICR2 = 0x310;
const APIC_LVTT = 0x320;
const APIC_LVT0 = 0x350;
const APIC_LVTERR = 0x370;
const APIC_TMICT = 0x380;
const APIC_TDCR = 0x3e0;

const APIC_SPIV_APIC_ENABLED = 1 << 8;
const APIC_LVT_MASKED = 1 << 16;
/** Version 0x14 with six local vectors, as KVM gives it. */
const VERSION = 0x50014;
/** LVT0 after reset: the interrupt controller of old is connected. */
const EXTINT = 0x700;

/** Bits that stay of what is written. */
const KEPT: Readonly<Record<number, number>> = {
  [APIC_ID]: 0xff000000,
  [APIC_LDR]: 0xff000000,
  [APIC_ICR2]: 0xff000000,
  [APIC_TASKPRI]: 0xff,
  [APIC_SPIV]: 0x3ff,
  [APIC_TDCR]: 0xb,
  [APIC_TMICT]: 0xffffffff,
};

/** The APIC of one vCPU. */
export class LocalApic {
  /** One register each 16 bytes. */
  readonly #regs = new Uint32Array(64);
  /** What the guest asked for that is not modelled: the timer, messages to processors. */
  unsupported = '';

  constructor() {
    this.#set(APIC_LVR, VERSION);
    this.#set(APIC_DFR, 0xffffffff);
    this.#set(APIC_SPIV, 0xff);
    for (let lvt = APIC_LVTT; lvt <= APIC_LVTERR; lvt += 0x10) this.#set(lvt, APIC_LVT_MASKED);
    this.#set(APIC_LVT0, EXTINT);
  }

  #get(register: number): number {
    return this.#regs[register >> 4]!;
  }
  #set(register: number, value: number): void {
    this.#regs[register >> 4] = value;
  }

  /** apic_sw_enabled(). */
  get enabled(): boolean {
    return (this.#get(APIC_SPIV) & APIC_SPIV_APIC_ENABLED) !== 0;
  }

  /** apic_mmio_in_range(). */
  covers(gpa: number): boolean {
    return gpa >= APIC_DEFAULT_PHYS_BASE && gpa < APIC_DEFAULT_PHYS_BASE + LAPIC_MMIO_LENGTH;
  }

  /** apic_mmio_read(): fills what it answers; a register that is not there leaves the bytes as they are. */
  read(gpa: number, into: Uint8Array, at: number, n: number): void {
    const offset = gpa - APIC_DEFAULT_PHYS_BASE;
    const inside = offset & 0xf;
    if (inside + n > 4 || offset >= 0x400) return;
    const register = offset & ~0xf;
    const value = register === APIC_PROCPRI ? this.#priority() : this.#get(register);
    for (let i = 0; i < n; i++) into[at + i] = value >>> (8 * (inside + i));
  }

  /** apic_mmio_write(): 32 bits at a time, aligned; anything else is dropped. */
  write(gpa: number, from: Uint8Array, at: number, n: number): void {
    const offset = gpa - APIC_DEFAULT_PHYS_BASE;
    if (n !== 4 || (offset & 0xf) !== 0) return;
    const value = (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0;
    this.#writeRegister(offset & 0xff0, value);
  }

  #writeRegister(register: number, value: number): void {
    const kept = KEPT[register];
    if (register === APIC_EOI) this.#endOfInterrupt();
    else if (register === APIC_ICR) this.unsupported = 'a message between processors (ICR of the local APIC)';
    else if (kept !== undefined) this.#set(register, (value & kept) >>> 0);
    else if (register === APIC_DFR) this.#set(register, (value | 0x0fffffff) >>> 0);
    else if (register >= APIC_LVTT && register <= APIC_LVTERR)
      this.#set(register, value | (this.enabled ? 0 : APIC_LVT_MASKED));
    if (register === APIC_TMICT && value !== 0 && (this.#get(APIC_LVTT) & APIC_LVT_MASKED) === 0)
      this.unsupported = 'the timer of the local APIC';
  }

  /** __apic_accept_irq(), fixed delivery: a disabled APIC takes nothing. */
  accept(vector: number): void {
    if (this.enabled) this.#setBit(APIC_IRR, vector, true);
  }

  /** kvm_apic_has_interrupt(): the vector that the processor would be given, or -1. */
  pending(): number {
    const vector = this.#highest(APIC_IRR);
    return vector >= 0 && (vector & 0xf0) > (this.#priority() & 0xf0) ? vector : -1;
  }

  /** kvm_get_apic_interrupt(): it is being served from now on. */
  acknowledge(vector: number): void {
    this.#setBit(APIC_IRR, vector, false);
    this.#setBit(APIC_ISR, vector, true);
  }

  #endOfInterrupt(): void {
    const vector = this.#highest(APIC_ISR);
    if (vector >= 0) this.#setBit(APIC_ISR, vector, false);
  }

  /** apic_update_ppr(). */
  #priority(): number {
    const task = this.#get(APIC_TASKPRI);
    const serving = Math.max(0, this.#highest(APIC_ISR));
    return (task & 0xf0) >= (serving & 0xf0) ? task : serving & 0xf0;
  }

  #setBit(base: number, vector: number, on: boolean): void {
    const register = base + ((vector >> 5) << 4);
    const bit = 1 << (vector & 31);
    this.#set(register, on ? this.#get(register) | bit : this.#get(register) & ~bit);
  }

  #highest(base: number): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.#get(base + (word << 4));
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }
}
