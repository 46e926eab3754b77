/** `struct kvm_run` as the agent logs it, into the exit record. */
import { EINTR } from '../../abi.ts';
import {
  type ExitRecord,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_UNKNOWN,
} from '../../exits.ts';
import type { LoggedExit } from '../agent/records.ts';
import { RUN_IO_DATA, RUN_UNION } from '../agent/wire.ts';

const DATA_BYTES = 8;
/** Offsets in the logged bytes: 8 of the head, then the union, then the port's data. */
const UNION = 8;
const IO_DATA = 72;
/** `KVM_EXIT_MEMORY_FAULT`: the one exit that newer kernels fill in beside -EFAULT. */
const KVM_EXIT_MEMORY_FAULT = 39;

/**
 * Fills the record. Returns the address in the agent where the VMM's answer goes before the vCPU runs again, if it
 * answers anything; `runAt` is where kvm_run is mapped.
 */
export function takeExit(exit: ExitRecord, { ret, bytes }: LoggedExit, runAt: number): number | undefined {
  const reason = bytes.getUint32(0, true);
  exit.reason = ret === 0 || reason === KVM_EXIT_MEMORY_FAULT ? reason : KVM_EXIT_UNKNOWN;
  if (ret === -EINTR) exit.reason = KVM_EXIT_INTR;
  if (ret !== 0) return undefined;
  if (reason === KVM_EXIT_MMIO) {
    exit.physAddr = Number(bytes.getBigUint64(UNION, true));
    exit.data.set(new Uint8Array(bytes.buffer, bytes.byteOffset + UNION + 8, DATA_BYTES));
    exit.len = bytes.getUint32(UNION + 16, true);
    exit.isWrite = bytes.getUint8(UNION + 20) !== 0;
    return exit.isWrite ? undefined : runAt + RUN_UNION + 8;
  }
  if (reason === KVM_EXIT_IO) {
    exit.isWrite = bytes.getUint8(UNION) === 1;
    exit.len = bytes.getUint8(UNION + 1);
    exit.port = bytes.getUint16(UNION + 2, true);
    exit.data.set(new Uint8Array(bytes.buffer, bytes.byteOffset + IO_DATA, DATA_BYTES));
    return exit.isWrite ? undefined : runAt + RUN_IO_DATA;
  }
  if (reason === KVM_EXIT_INTERNAL_ERROR) exit.suberror = bytes.getUint32(UNION, true);
  return undefined;
}
