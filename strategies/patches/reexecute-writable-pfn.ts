/**
 * v6's fix: after a failed emulation the guest is entered again only if a writable page is to be had. A
 * memslot alone says nothing, for the store would fault and fail again for ever.
 */
import { type Patch, PFN_OK } from '../../engine/policy.ts';

export const reexecuteWritablePfn: Patch = {
  name: 'reexecute-writable-pfn',
  subject: 'enter the guest again after a failed emulation only if its page can be written',
  source: 'changelog of v6, 21 August 2012; reexecute_instruction(), Linux 3.7',
  apply: () => ({ reexecuteInstruction: (_fault, writablePfn) => writablePfn === PFN_OK }),
};
