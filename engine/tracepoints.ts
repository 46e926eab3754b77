/**
 * KVM's tracepoints as a machine that knows them calls them: what `trace-cmd record -e kvm` would have seen. Names and
 * arguments are those of arch/x86/kvm/trace.h and include/trace/events/kvm.h, Linux 6.1. Addresses are numbers: a guest
 * here has no address above 2^53.
 */
import type { MemoryRegion } from './abi.ts';

/** Hears of each tracepoint as it happens. */
export interface Tracepoints {
  /** kvm_entry: the guest is about to run. */
  kvmEntry(rip: number): void;
  /** kvm_exit: the guest came out to the kernel. */
  kvmExit(reason: string, rip: number, info1: number, info2: number): void;
  /** kvm_page_fault: the address of the fault and the processor's error code. */
  kvmPageFault(rip: number, address: number, code: number): void;
  /** kvm_mmio: the emulator's access met no memory; a `read` is the answer to an `unsatisfied-read`. */
  kvmMmio(kind: 'read' | 'write' | 'unsatisfied-read', len: number, gpa: number, data: Uint8Array): void;
  /** kvm_pio: a port, once KVM handles it; input has no value yet. */
  kvmPio(write: boolean, port: number, size: number, count: number, val: number): void;
  /** kvm_emulate_insn: the emulator has decoded an instruction, or has given it up. */
  kvmEmulateInsn(rip: number, bytes: Uint8Array, mode: string, failed: boolean): void;
  /** kvm_userspace_exit: KVM_RUN returns 0 with a reason, or -errno. */
  kvmUserspaceExit(ret: number, reason: number): void;
  /** The VMM called KVM_SET_USER_MEMORY_REGION. Not the kernel's tracepoint but QEMU's, which is where people look. */
  setUserMemory(region: MemoryRegion, ret: number): void;
}
