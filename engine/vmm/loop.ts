/**
 * The one loop of every VMM here: KVM_RUN, look at the exit, answer it. What to do on an exit is a handler's
 * business; scenarios, recorded cases and probes are handlers, and none of them has a loop of its own.
 */
import {
  type ExitRecord,
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
} from '../exits.ts';
import type { Machine } from '../machine.ts';

/**
 * What a VMM does when KVM_RUN comes back: each handler answers the exit in the record and returns undefined to enter
 * the guest again, or returns how the run ended.
 */
export interface ExitHandlers<End> {
  /** KVM_RUN returned -errno. The record says more where the kernel does (`KVM_EXIT_MEMORY_FAULT`). */
  onErrno(errno: number, exit: ExitRecord): End | undefined;
  /** Memory the VMM has to answer for: a read wants `exit.data` filled. */
  onMmio(exit: ExitRecord): End | undefined;
  /** A port: input wants `exit.data` filled. */
  onPort(exit: ExitRecord): End | undefined;
  onHlt(exit: ExitRecord): End | undefined;
  onShutdown(exit: ExitRecord): End | undefined;
  onInternalError(exit: ExitRecord): End | undefined;
  /** Any other reason. */
  onOther(exit: ExitRecord): End | undefined;
}

/** Enters the guest at most `most` times; how it ended, or undefined if it has not. */
export function runVcpu<End>(machine: Machine, handlers: ExitHandlers<End>, most: number): End | undefined {
  for (let n = 0; n < most; n++) {
    const ret = machine.run();
    const end = ret < 0 ? handlers.onErrno(-ret, machine.exit) : handle(machine.exit, handlers);
    if (end !== undefined) return end;
  }
  return undefined;
}

function handle<End>(exit: ExitRecord, handlers: ExitHandlers<End>): End | undefined {
  switch (exit.reason) {
    case KVM_EXIT_MMIO:
      return handlers.onMmio(exit);
    case KVM_EXIT_IO:
      return handlers.onPort(exit);
    case KVM_EXIT_HLT:
      return handlers.onHlt(exit);
    case KVM_EXIT_SHUTDOWN:
      return handlers.onShutdown(exit);
    case KVM_EXIT_INTERNAL_ERROR:
      return handlers.onInternalError(exit);
    default:
      return handlers.onOther(exit);
  }
}
