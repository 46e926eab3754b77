/**
 * An instruction that KVM cannot emulate leaves as an MMIO exit. The kernel knows neither its address nor its
 * data, so the exit has none, and the next entry fails in the same way.
 */
import { EMULATION_FAILURE_MMIO, type Patch } from '../../engine/policy.ts';

export const reexecMmio: Patch = {
  name: 'reexec-mmio',
  subject: 'an instruction that cannot be emulated leaves as an MMIO exit without address or data',
  source: 'Marcelo, 14 August 2012: exit via MMIO; Xiao, 16 August 2012: it will fail again',
  apply: () => ({ handleEmulationFailure: () => EMULATION_FAILURE_MMIO }),
};
