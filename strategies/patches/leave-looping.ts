/** Nothing is said about an instruction that KVM cannot emulate; the guest tries it again, for ever. */
import { EMULATION_FAILURE_LOOP, type Patch } from '../../engine/policy.ts';

export const leaveLooping: Patch = {
  name: 'leave-looping',
  subject: 'an instruction that cannot be emulated is left looping',
  source: 'Marcelo, 16 August 2012: either KVM_EXIT_INTERNAL_ERROR or leave the guest looping',
  apply: () => ({ handleEmulationFailure: () => EMULATION_FAILURE_LOOP }),
};
