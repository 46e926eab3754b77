/**
 * What a trace of a real kernel says, line by line: the events of KVM that this program understands, as plain data.
 * Texts are those of `TP_printk()` in arch/x86/kvm/trace.h and mmutrace.h and include/trace/events/kvm.h, 3.x to 7.x,
 * and those that libtraceevent's kvm plug-in makes of them for `trace-cmd report` and `perf script`.
 */

/** The columns before an event's text. */
export interface Columns {
  /** Number of the line in its file, from 1. */
  readonly line: number;
  /** Seconds, by whichever clock the trace was taken; a plain count if the clock counts. */
  readonly time: number;
  /** The thread that ran: one a vCPU. */
  readonly thread: number;
  /** The processor it ran on; -1 where the line does not say. */
  readonly cpu: number;
  readonly task: string;
}

/** `kvm_entry`: the guest is entered. */
export interface EntryEvent extends Columns {
  readonly event: 'kvm_entry';
  readonly vcpu: number | undefined;
  /** Hex without 0x, here and below: addresses of 64 bits do not fit a number. */
  readonly rip: string | undefined;
}

/** `kvm_exit`: the guest came out, to the kernel at first. */
export interface ExitEvent extends Columns {
  readonly event: 'kvm_exit';
  readonly vcpu: number | undefined;
  /** As printed: `npf`, `EXIT_NPF`, `EPT_VIOLATION`. */
  readonly reason: string;
  readonly rip: string;
  readonly info1: string | undefined;
  readonly info2: string | undefined;
}

/** `kvm_page_fault`: a stage-2 fault, or under shadow paging one of the guest's own addresses. */
export interface PageFaultEvent extends Columns {
  readonly event: 'kvm_page_fault';
  readonly vcpu: number | undefined;
  readonly rip: string | undefined;
  readonly address: string;
  /** A #NPF error code, or on Intel the exit qualification. */
  readonly code: number;
}

/** `kvm_mmio`: the emulator read or wrote what is no memory. */
export interface MmioEvent extends Columns {
  readonly event: 'kvm_mmio';
  readonly kind: 'read' | 'write' | 'unsatisfied-read';
  readonly len: number;
  readonly gpa: number;
  readonly val: string;
}

/** `kvm_pio`: a port. */
export interface PioEvent extends Columns {
  readonly event: 'kvm_pio';
  readonly kind: 'read' | 'write';
  readonly port: number;
  readonly size: number;
  readonly count: number;
  /** Not printed before 3.15. */
  readonly val: string | undefined;
}

/** `kvm_emulate_insn`: KVM's emulator took an instruction on. */
export interface EmulateEvent extends Columns {
  readonly event: 'kvm_emulate_insn';
  readonly csbase: string;
  readonly rip: string;
  /** Bytes in hex, or the words of a disassembler. */
  readonly insn: string;
  /** `real`, `prot32`, `prot64`; trace-cmd leaves it out. */
  readonly mode: string | undefined;
  readonly failed: boolean;
}

/** `kvm_userspace_exit`: KVM_RUN returned. */
export interface UserspaceExitEvent extends Columns {
  readonly event: 'kvm_userspace_exit';
  /** `KVM_EXIT_MMIO`, or `restart` and `error` for a return value below 0. */
  readonly reason: string;
  /** KVM_EXIT_* or the errno. */
  readonly number: number;
}

/** `kvm_mmu_zap_all_fast`: a slot was deleted or moved, and all stage-2 entries went. */
export interface ZapEvent extends Columns {
  readonly event: 'kvm_mmu_zap_all_fast';
}

/** A KVM_SET_USER_MEMORY_REGION that QEMU wrote into its log, or through its ftrace backend into the trace. */
export interface SlotCallEvent extends Columns {
  readonly event: 'kvm_set_user_memory';
  readonly call: SlotCall;
}

/** One KVM_SET_USER_MEMORY_REGION, as `-trace kvm_set_user_memory` prints it. */
export interface SlotCall {
  /** 0, or 1 for what the guest sees in system management mode. */
  readonly addressSpace: number;
  readonly slot: number;
  readonly flags: number;
  readonly gpa: number;
  readonly size: number;
  readonly ua: number;
  /** 0 or -errno. */
  readonly ret: number;
}

/** What a flash device of QEMU's was asked (`pflash_io_read`, `pflash_io_write`). */
export interface FlashEvent extends Columns {
  readonly event: 'pflash_io';
  readonly access: FlashAccess;
}

/** One access that a flash device of QEMU's saw. */
export interface FlashAccess {
  readonly device: string;
  readonly write: boolean;
  readonly offset: number;
  readonly size: number;
  /** What was written, or what the device answered. */
  readonly value: number;
}

/** One event of a trace. */
export type TraceEvent =
  | EntryEvent
  | ExitEvent
  | PageFaultEvent
  | MmioEvent
  | PioEvent
  | EmulateEvent
  | UserspaceExitEvent
  | ZapEvent
  | SlotCallEvent
  | FlashEvent;

/** Names of the events that are understood. */
export type EventName = TraceEvent['event'];
