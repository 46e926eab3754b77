/** What several patches ask of the VMA behind a fault. */
import type { Facts } from '../../engine/facts.ts';

/** `vma_is_valid()` of 3.7: the VMA can be read, and written if the access is a write. */
export const vmaIsValid = (f: Facts): boolean => f.vma && f.vmRead && (!f.write || f.vmWrite);

/** The VMA refuses the access only because it is a write. */
export const vmaIsReadonly = (f: Facts): boolean => f.vma && f.vmRead && !f.vmWrite;
