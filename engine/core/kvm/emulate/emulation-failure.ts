/** What userspace is told of an instruction that KVM cannot emulate (prepare_emulation_failure_exit() of Linux 6.1). */
import { type ExitRecord, KVM_EXIT_INTERNAL_ERROR, KVM_INTERNAL_ERROR_EMULATION } from '../../../exits.ts';
import type { Emulator } from '../../x86/emulator/emulator.ts';

/** Words of data that are always there: flags, and five about the VM exit. */
const NDATA_ALWAYS = 6;
/** Words that the instruction's size and bytes take. */
const NDATA_INSN = 2;
/** What bytes are that were not fetched. */
const NOP = 0x90;

/** Fills the exit. Of the instruction it has what was fetched, which is more than its length or, at a page's end, less. */
export function fillEmulationFailure(exit: ExitRecord, { fetched, fetchedLength }: Emulator): void {
  exit.reason = KVM_EXIT_INTERNAL_ERROR;
  exit.suberror = KVM_INTERNAL_ERROR_EMULATION;
  exit.insnSize = fetchedLength;
  exit.insnBytes.fill(NOP);
  exit.insnBytes.set(fetched.subarray(0, fetchedLength));
  exit.ndata = NDATA_ALWAYS + (fetchedLength > 0 ? NDATA_INSN : 0);
}
