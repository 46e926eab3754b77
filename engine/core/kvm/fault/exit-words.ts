/** An exit in words, for the life of a fault. */
import { KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN } from '../../../abi.ts';
import type { ExitRecord } from '../../../machine.ts';

/** What userspace sees of it, in a line. */
export function exitSays(exit: ExitRecord): string {
  switch (exit.reason) {
    case KVM_EXIT_MMIO:
      return `KVM_EXIT_MMIO: ${exit.isWrite ? 'write' : 'read'} of ${exit.len} at ${exit.physAddr.toString(16)}`;
    case KVM_EXIT_IO:
      return `KVM_EXIT_IO: port ${exit.port.toString(16)}`;
    case KVM_EXIT_HLT:
      return 'KVM_EXIT_HLT';
    case KVM_EXIT_SHUTDOWN:
      return 'KVM_EXIT_SHUTDOWN';
    default:
      return 'KVM_EXIT_INTERNAL_ERROR, suberror 1';
  }
}
