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

/** Offsets in the logged bytes: 8 of the head, then the union, then the port's data. */
const UNION = 8;
const IO_DATA = 72;
/** `KVM_EXIT_MEMORY_FAULT`: the one exit that newer kernels fill in beside -EFAULT. */
const KVM_EXIT_MEMORY_FAULT = 39;

/** Where the data of an exit lies in the agent's memory. */
export interface ExitData {
  readonly at: number;
  readonly bytes: number;
}

/** Bytes of it that the agent logs; the rest of a string's has to be fetched. */
export const LOGGED_DATA_BYTES = 8;

/**
 * Fills the record. Returns where the exit's data lies, if it has any: there the VMM's answer goes before the vCPU
 * runs again. `runAt` is where kvm_run is mapped.
 */
export function takeExit(exit: ExitRecord, { ret, bytes }: LoggedExit, runAt: number): ExitData | undefined {
  const reason = bytes.getUint32(0, true);
  exit.reason = ret === 0 || reason === KVM_EXIT_MEMORY_FAULT ? reason : KVM_EXIT_UNKNOWN;
  if (ret === -EINTR) exit.reason = KVM_EXIT_INTR;
  if (ret !== 0) return undefined;
  if (reason === KVM_EXIT_MMIO) {
    exit.physAddr = Number(bytes.getBigUint64(UNION, true));
    exit.data.set(logged(bytes, UNION + 8));
    exit.len = bytes.getUint32(UNION + 16, true);
    exit.count = 1;
    exit.isWrite = bytes.getUint8(UNION + 20) !== 0;
    return { at: runAt + RUN_UNION + 8, bytes: LOGGED_DATA_BYTES };
  }
  if (reason === KVM_EXIT_IO) {
    exit.isWrite = bytes.getUint8(UNION) === 1;
    exit.len = bytes.getUint8(UNION + 1);
    exit.port = bytes.getUint16(UNION + 2, true);
    exit.count = bytes.getUint32(UNION + 4, true);
    exit.data.set(logged(bytes, IO_DATA));
    return { at: runAt + RUN_IO_DATA, bytes: exit.len * exit.count };
  }
  if (reason === KVM_EXIT_INTERNAL_ERROR) exit.suberror = bytes.getUint32(UNION, true);
  return undefined;
}

const logged = (bytes: DataView, at: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + at, LOGGED_DATA_BYTES);
